//! The provider simulator: an HTTP server that speaks the providers' wire formats as strictly as the real ones, so that
//! the demo, the tests and somebody's staging can send without a provider, a bill or a recipient.
//!
//! It keeps a log of the calls that it received (which is what an audit of "never lost, never twice" reads), posts signed
//! receipts and replies, and can be told to be slow, to fail, to throttle or to hang: by share ([`Faults`]) or by the last
//! digits of the recipient ([`magic::TABLES`]).
//!
//! Deliberately shares nothing with the rest of herald, not even a constant: a mistake that an adapter makes must not be
//! repeated here. It is no place for secrets either: its control surface has no password, so bind it to loopback.

mod server;

pub mod acs;
mod control;
pub mod faults;
pub mod log;
pub mod magic;
pub mod settings;
pub mod telesign;
pub mod twilio;

mod answer;
mod callbacks;
mod connection;
mod form;
mod kept;
mod plan;
mod schedule;
mod segments;
mod state;
mod time;

pub use callbacks::CallbackCounts;
pub use faults::{Faults, Slow, Throttle};
pub use log::{Call, CallPage, Extras, Provider, ProviderSummary, Repeated, Summary};
pub use magic::{Behaviour, Magic, Table};
pub use server::{Sandbox, SandboxError};
pub use settings::{
    AccountStatus, AcsEvents, AcsResource, ApiKey, ApprovalStatus, Callbacks, Casing, ContentTemplate, EventSchema,
    Keywords, Receipts, Replies, ReportSignature, Settings, SettingsError, TeleSignAccount, TwilioAccount, WhatsApp,
};
