//! A faithful stand-in for OpenRouter and NBP, for tests, benches and the demo.
//!
//! It shares no code with what it tests: it prices every answer itself and keeps its own ledger, so that a test can ask
//! "did the meter book exactly what the provider charged". How an answer looks on the wire, how it fails and when it is
//! charged is chosen per request by a [`Behaviour`]: by the model `mock/<behaviour>[,<behaviour>]` or, for any model, by
//! these request headers:
//!
//! | header | meaning |
//! |---|---|
//! | `x-mock-behaviour: name[,name]` | behaviours, added to those of the model name |
//! | `x-mock-seed: N` | fixes text and token counts (ids stay unique) |
//! | `x-mock-delay-ms: N` | overrides the pause of `slow` and `delay-headers` |
//! | `x-mock-mib: N` | overrides the size of `endless-line` |
//! | `x-mock-generation-delay-ms: N` | `/generation` answers 404 this long after the end |
//!
//! Under `/api/v1` it serves every [`Route`] that orders a generation, `GET /generation`, `GET /models`, `GET /key` and
//! the management API `/keys`, and under `/nbp/api` the rates and tables A of NBP. Every bearer key that begins with
//! `sk-or-` may be used for inference until it is disabled or deleted through `/keys`; `x-api-key` opens nothing. A name
//! of a model or behaviour it does not know is refused with status 400, so that a typing error never passes as `ok`.
//! Whatever of the models is asked for, it is sold on every route.
//!
//! With a [`BroadcastTarget`] it reports each charge as OpenRouter's Broadcast does.
//!
//! ```no_run
//! use mai_mock_openrouter::{Mock, MockSettings};
//!
//! let mock = Mock::start(MockSettings::default())?;
//! println!("OPENROUTER_BASE_URL={}", mock.base_url());
//! println!("NBP_BASE_URL={}", mock.nbp_url());
//! let charged = mock.ledger();
//! # Ok::<(), std::io::Error>(())
//! ```

mod behaviour;
mod body;
mod broadcast;
mod calendar;
mod generation;
mod gzip;
mod inference;
mod keys;
mod ledger;
mod look_up;
mod models;
mod money;
mod nbp;
mod order;
mod plan;
mod random;
mod refusal;
mod respond;
mod route;
mod script;
mod server;
mod settings;
mod text;
mod wire;

pub use behaviour::{Behaviour, Outcome};
pub use broadcast::BroadcastTarget;
pub use calendar::{easter, is_working_day};
pub use ledger::Charge;
pub use money::nano_usd;
pub use nbp::NbpConduct;
pub use route::Route;
pub use server::{Mock, RecordedRequest};
pub use settings::{MockSettings, Now, system_clock};
