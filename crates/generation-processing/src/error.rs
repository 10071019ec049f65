//! What can go wrong with the ledger.

use mai_primitives::GenerationId;
use mai_storage::TransactionError;
use thiserror::Error;

use crate::{cleanup::MIN_DAYS_TO_RETAIN, pending::PendingReason};

/// The result of this crate's services.
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// An error of the ledger.
#[derive(Debug, Error)]
pub enum Error {
    /// The database failed.
    #[error(transparent)]
    Storage(#[from] mai_storage::Error),
    /// A generation that cannot be booked as it is; nothing was written.
    #[error("generation {id} cannot be booked: {reason}")]
    Unbookable {
        /// The generation.
        id: GenerationId,
        /// What is wrong with it.
        reason: Unbookable,
    },
    /// Two cleanups ran at the same moment; this one deleted nothing.
    #[error("another cleanup of the ledger ran at the same moment")]
    ConcurrentCleanup,
    /// A cleanup must keep at least [`MIN_DAYS_TO_RETAIN`] days.
    #[error("the ledger's cleanup must keep at least {MIN_DAYS_TO_RETAIN} days, not {0}")]
    Retention(i32),
    /// The generation neither waits nor is unresolved.
    #[error("generation {0} is not pending")]
    NotPending(GenerationId),
    /// A look-up cannot help: OpenRouter does not know the id, or the usage is known already.
    #[error("generation {id} cannot be looked up, because its reason is `{reason}`")]
    NothingToLookUp {
        /// The generation.
        id: GenerationId,
        /// Why its cost is not known.
        reason: PendingReason,
    },
    /// A generation is only dismissed for a reason.
    #[error("a dismissal needs a reason")]
    NoReason,
}

/// Why a generation cannot be booked.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
pub enum Unbookable {
    /// The cost is below zero.
    #[error("its cost is below zero")]
    NegativeCost,
    /// A number of tokens is below zero.
    #[error("a number of its tokens is below zero")]
    NegativeTokens,
    /// The sum of tokens, or the client's price, leaves the range that can be stored.
    #[error("its tokens or the client's price leave the range that can be stored")]
    OutOfRange,
}

impl TransactionError for Error {
    fn storage(&self) -> Option<&mai_storage::Error> {
        match self {
            Self::Storage(error) => Some(error),
            _ => None,
        }
    }
}
