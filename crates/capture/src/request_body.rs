//! Bodies of requests on their way upstream: held in pieces, or passing through.

use std::{
    collections::VecDeque,
    pin::Pin,
    sync::{Arc, OnceLock},
    task::{Context, Poll, ready},
};

use bytes::{Buf, Bytes};
use http_body::{Body, Frame, SizeHint};
use mai_primitives::ModelName;
use thiserror::Error;
use tokio::sync::mpsc;

/// The client's upload ended before its end, or was refused on its way.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
#[error("the upload broke off")]
pub struct UploadCut;

/// A request body.
#[derive(Debug)]
pub enum RequestBody {
    /// All of it is here, in pieces that are sent one after the other with a known length, so that the
    /// one value we change costs no copy of the rest.
    Pieces(VecDeque<Bytes>),
    /// It comes from the client while it is sent.
    Upload(Upload),
}

impl RequestBody {
    /// The body of a request without one.
    pub const fn empty() -> Self {
        Self::Pieces(VecDeque::new())
    }

    /// What will be known of an upload once all of it has come.
    pub(crate) fn form(&self) -> Option<Arc<OnceLock<Form>>> {
        match self {
            Self::Pieces(_) => None,
            Self::Upload(upload) => Some(Arc::clone(&upload.form)),
        }
    }
}

impl<const N: usize> From<[Bytes; N]> for RequestBody {
    fn from(pieces: [Bytes; N]) -> Self {
        Self::Pieces(pieces.into_iter().filter(|piece| !piece.is_empty()).collect())
    }
}

impl Body for RequestBody {
    type Data = Bytes;
    type Error = UploadCut;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, UploadCut>>> {
        match &mut *self {
            Self::Pieces(pieces) => Poll::Ready(pieces.pop_front().map(|piece| Ok(Frame::data(piece)))),
            Self::Upload(upload) => {
                upload.poll_piece(context).map(|piece| piece.map(|piece| piece.map(Frame::data)))
            }
        }
    }

    fn is_end_stream(&self) -> bool {
        match self {
            Self::Pieces(pieces) => pieces.is_empty(),
            // What announced no bytes may still break off.
            Self::Upload(_) => false,
        }
    }

    fn size_hint(&self) -> SizeHint {
        match self {
            Self::Pieces(pieces) => {
                let length: usize = pieces.iter().map(Buf::remaining).sum();
                SizeHint::with_exact(u64::try_from(length).unwrap_or(u64::MAX))
            }
            Self::Upload(upload) => upload.left.map_or_else(SizeHint::default, SizeHint::with_exact),
        }
    }
}

/// What the fields of an uploaded form say about the call.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Form {
    /// The requested model.
    pub model: Option<ModelName>,
    /// Whether a streamed answer is wanted.
    pub streamed: bool,
}

/// The end of an upload at which upstream reads.
///
/// Nothing is gathered: the client's next piece is taken when upstream has taken the one before. If the
/// sender goes before it has [finished](UploadSender::finish), the request is aborted, so that upstream
/// never takes a part for the whole.
#[derive(Debug)]
pub struct Upload {
    pieces: mpsc::Receiver<Piece>,
    /// Bytes that are still to come, where the client announced them.
    left: Option<u64>,
    form: Arc<OnceLock<Form>>,
}

/// The end of an upload at which the client writes.
#[derive(Debug)]
pub struct UploadSender {
    pieces: mpsc::Sender<Piece>,
    form: Arc<OnceLock<Form>>,
}

#[derive(Debug)]
enum Piece {
    Bytes(Bytes),
    End,
}

impl Upload {
    /// Both ends of an upload of `length` bytes, or of as many as come.
    pub fn new(length: Option<u64>) -> (UploadSender, Self) {
        let (sender, pieces) = mpsc::channel(1);
        let form = Arc::<OnceLock<Form>>::default();
        (UploadSender { pieces: sender, form: Arc::clone(&form) }, Self { pieces, left: length, form })
    }

    fn poll_piece(&mut self, context: &mut Context<'_>) -> Poll<Option<Result<Bytes, UploadCut>>> {
        Poll::Ready(match ready!(self.pieces.poll_recv(context)) {
            Some(Piece::Bytes(bytes)) => {
                let length = u64::try_from(bytes.len()).unwrap_or(u64::MAX);
                self.left = self.left.map(|left| left.saturating_sub(length));
                Some(Ok(bytes))
            }
            Some(Piece::End) => None,
            None => Some(Err(UploadCut)),
        })
    }
}

impl UploadSender {
    /// Passes a piece on once upstream has taken the one before. False when upstream reads no more.
    pub async fn send(&self, piece: Bytes) -> bool {
        self.pieces.send(Piece::Bytes(piece)).await.is_ok()
    }

    /// All of it has come, and this is what it said.
    pub async fn finish(self, form: Form) {
        // It is set once, here, because this takes the sender.
        self.form.get_or_init(|| form);
        // Of a body whose length was announced upstream knows the end without being told.
        self.pieces.send(Piece::End).await.unwrap_or_default();
    }
}

#[cfg(test)]
mod tests {
    use futures_util::FutureExt;
    use http_body_util::BodyExt;

    use super::*;

    #[tokio::test]
    async fn pieces_are_sent_in_order_with_their_length() {
        let body = RequestBody::from([Bytes::from_static(b"{"), Bytes::new(), Bytes::from_static(b"}")]);
        assert_eq!(body.size_hint().exact(), Some(2));
        assert_eq!(body.collect().await.unwrap().to_bytes(), "{}");
    }

    #[tokio::test]
    async fn an_upload_takes_a_piece_when_the_one_before_is_gone() {
        let (sender, upload) = Upload::new(Some(4));
        let mut body = RequestBody::Upload(upload);
        assert_eq!(body.size_hint().exact(), Some(4));
        assert!(sender.send(Bytes::from_static(b"ab")).await);
        let mut next = Box::pin(sender.send(Bytes::from_static(b"cd")));
        assert!((&mut next).now_or_never().is_none());
        assert_eq!(body.frame().await.unwrap().unwrap().into_data().unwrap(), "ab");
        assert_eq!(body.size_hint().exact(), Some(2));
        assert!(next.await);
        assert_eq!(body.frame().await.unwrap().unwrap().into_data().unwrap(), "cd");
        sender.finish(Form::default()).await;
        assert!(body.frame().await.is_none());
        assert_eq!(body.form().unwrap().get(), Some(&Form::default()));
    }

    #[tokio::test]
    async fn an_upload_that_breaks_off_is_an_error_and_no_end() {
        let (sender, upload) = Upload::new(None);
        let mut body = RequestBody::Upload(upload);
        assert!(sender.send(Bytes::from_static(b"ab")).await);
        drop(sender);
        assert!(body.frame().await.unwrap().is_ok());
        assert_eq!(body.frame().await.unwrap().unwrap_err(), UploadCut);
        assert_eq!(body.form().unwrap().get(), None);
    }

    #[tokio::test]
    async fn a_sender_learns_that_upstream_reads_no_more() {
        let (sender, upload) = Upload::new(None);
        drop(upload);
        assert!(!sender.send(Bytes::from_static(b"ab")).await);
    }
}
