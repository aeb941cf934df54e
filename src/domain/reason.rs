//! Why a message is where it is: one closed list, each with a stable code, a sentence, and how far its consequences go.

use std::{fmt, str::FromStr};

/// How far a reason reaches: a bad number ends one message, a wrong key stops an account.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Scope {
    /// This message only.
    Message,
    /// Every message to this recipient on this channel type.
    Recipient,
    /// Every message from this channel.
    Channel,
    /// Every message of this account: it stops, its messages stay queued.
    Account,
}

/// Whether trying again later can help.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Retry {
    /// It cannot.
    Never,
    /// It may: with the usual backoff.
    Soon,
    /// It may, but not within seconds: a full queue, an unreachable handset, a daily cap.
    Later,
}

macro_rules! reasons {
    ($($(#[$doc:meta])* $name:ident = $code:literal, $retry:ident, $scope:ident, $sentence:literal;)*) => {
        /// Why a message was not sent, is waiting, or did not arrive.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub enum Reason {$($(#[$doc])* #[doc = $sentence] $name,)*}

        impl Reason {
            /// Every reason.
            pub const ALL: &'static [Self] = &[$(Self::$name),*];

            /// The stable code that programs go by.
            pub const fn code(self) -> &'static str {
                match self { $(Self::$name => $code,)* }
            }

            /// A sentence for an operator.
            pub const fn sentence(self) -> &'static str {
                match self { $(Self::$name => $sentence,)* }
            }

            /// Whether another try can help.
            pub const fn retry(self) -> Retry {
                match self { $(Self::$name => Retry::$retry,)* }
            }

            /// How far the consequences go.
            pub const fn scope(self) -> Scope {
                match self { $(Self::$name => Scope::$scope,)* }
            }
        }
    };
}

reasons! {
    // Suppressed: never attempted, on purpose (SPEC 7).
    OptedOut = "opted_out", Never, Recipient, "The recipient has opted out of this channel.";
    NotOptedIn = "not_opted_in", Never, Message, "The contact came with optin=false.";
    Duplicate = "duplicate", Never, Message, "The same number stands earlier in this run.";
    FrequencyCapped = "frequency_capped", Later, Message, "The recipient has had as many marketing messages as the organization allows.";
    Looping = "looping", Never, Message, "The same text went to this number too often within an hour.";
    // Held: it goes by itself when the time has come (SPEC 7).
    QuietHours = "quiet_hours", Later, Message, "The message waits for the end of the recipient's quiet hours.";
    // Failed by herald before any call.
    MissingSlug = "missing_slug", Never, Message, "The template needs a value that the contact does not have.";
    InvalidValue = "invalid_value", Never, Message, "A value is not what the template formats it as: a date, a time, a number, a currency or a time zone.";
    MessageTooLong = "message_too_long", Never, Message, "The rendered text is longer than 1,600 characters.";
    EmptyMessage = "empty_message", Never, Message, "The rendered text is empty.";
    TemplateFailed = "template_failed", Never, Message, "The template could not be rendered for this contact.";
    SessionClosed = "session_closed", Never, Message, "WhatsApp allows free text only within 24 hours of the contact's last message; use an approved template.";
    // Ends that are nobody's refusal.
    Expired = "expired", Never, Message, "The message is older than its configuration's valid_for.";
    AttemptsSpent = "attempts_spent", Never, Message, "Every try that the retry policy allows has failed.";
    Cancelled = "cancelled", Never, Message, "The run was cancelled before this message was sent.";
    // Between herald and the provider.
    NoConnection = "no_connection", Soon, Message, "The provider could not be reached; the message was certainly not sent.";
    NoAnswer = "no_answer", Never, Message, "The call reached the provider but no answer came back; the message may or may not have been sent.";
    WorkerLost = "worker_lost", Never, Message, "The process ended while the message was being handed over; it may or may not have been sent.";
    Unreadable = "unreadable_answer", Never, Message, "The provider's answer could not be understood; the message may or may not have been sent.";
    // The provider is busy or broken.
    Throttled = "throttled", Soon, Channel, "The provider asks to slow down.";
    QueueFull = "provider_queue_full", Later, Channel, "The sender's queue at the provider is full.";
    ProviderFault = "provider_fault", Soon, Message, "The provider failed on its side.";
    LimitReached = "limit_reached", Later, Channel, "A price, rate or daily limit at the provider or carrier is reached.";
    // The provider refuses the recipient.
    InvalidNumber = "invalid_number", Never, Message, "The provider does not accept the recipient's number.";
    NotMobile = "not_mobile", Never, Message, "The number cannot receive text messages.";
    Unroutable = "unroutable", Never, Message, "The provider has no route from this sender to this number.";
    UnknownNumber = "unknown_number", Never, Message, "The number does not exist or is no longer in use.";
    Unreachable = "unreachable", Later, Message, "The handset was off, out of coverage, or its network had a fault.";
    NotOnChannel = "not_on_channel", Never, Message, "The recipient is not on this channel.";
    Blocked = "blocked", Never, Message, "The recipient, the carrier or the provider blocks this message.";
    RegionNotEnabled = "region_not_enabled", Never, Message, "Sending to the recipient's country is not enabled on the account.";
    QuietHoursAtProvider = "provider_quiet_hours", Later, Message, "The provider holds back messages during the recipient's quiet hours.";
    // The provider refuses the text.
    InvalidContent = "invalid_content", Never, Message, "The provider does not accept the message's content.";
    Filtered = "filtered", Never, Message, "The provider or carrier filtered the message as unwanted.";
    InvalidTemplate = "invalid_template", Never, Message, "The approved template is missing, paused, or does not fit its variables.";
    MediaFailed = "media_failed", Never, Message, "The provider could not fetch the media.";
    // The provider refuses the sender or the account.
    SenderRefused = "sender_refused", Never, Channel, "The provider does not accept the sender: not on the account, not registered, or not able to send this.";
    NotConfigured = "not_configured", Never, Channel, "The channel, account or secret that the run names cannot be used.";
    AccountRefused = "account_refused", Never, Account, "The provider does not accept the account's credentials.";
    AccountSuspended = "account_suspended", Never, Account, "The account is suspended, closed, or out of credit.";
    TrialAccount = "trial_account", Never, Message, "A trial account sends only to numbers verified with the provider.";
    SandboxNotJoined = "sandbox_not_joined", Never, Message, "The sender is the provider's WhatsApp sandbox, and the recipient has not joined it; send from a WhatsApp number of your own, or have them join.";
    // Not in any table.
    NotDelivered = "not_delivered", Never, Message, "The provider reports that the message was not delivered, without a reason that herald knows.";
    CarrierFault = "carrier_fault", Later, Message, "The carrier failed, without saying why.";
    Refused = "refused", Never, Message, "The provider refused the message for a reason that herald does not know.";
}

/// A text that names no reason.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
#[error("\"{0}\" is not a reason that herald knows")]
pub struct NotAReason(String);

impl FromStr for Reason {
    type Err = NotAReason;

    fn from_str(code: &str) -> Result<Self, NotAReason> {
        Self::ALL.iter().find(|reason| reason.code() == code).copied().ok_or_else(|| NotAReason(code.to_owned()))
    }
}

impl fmt::Display for Reason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.sentence())
    }
}

/// A reason with what the provider itself said, kept word for word.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Why {
    /// herald's own reason.
    pub reason: Reason,
    /// The provider's code, e.g. `21211`; empty if it gave none.
    pub provider_code: String,
    /// What else there is to say (the provider's text, the slug's name); empty if nothing. Bounded by whoever fills it.
    pub detail: String,
}

/// The most of a provider's own words that is kept, in characters.
pub const DETAIL_LIMIT: usize = 300;

impl Why {
    /// With herald's own words only.
    pub fn plain(reason: Reason) -> Self {
        Self { reason, provider_code: String::new(), detail: String::new() }
    }

    /// With a detail, cut at [`DETAIL_LIMIT`] characters.
    pub fn detailed(reason: Reason, detail: impl Into<String>) -> Self {
        let mut detail = detail.into();
        if let Some((cut, _)) = detail.char_indices().nth(DETAIL_LIMIT) {
            detail.truncate(cut);
        }
        Self { reason, provider_code: String::new(), detail }
    }

    /// With the provider's code as well.
    #[must_use]
    pub fn with_code(mut self, code: impl fmt::Display) -> Self {
        self.provider_code = code.to_string();
        self
    }
}

impl From<Reason> for Why {
    fn from(reason: Reason) -> Self {
        Self::plain(reason)
    }
}

impl fmt::Display for Why {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.reason.sentence())?;
        match (self.provider_code.as_str(), self.detail.as_str()) {
            ("", "") => Ok(()),
            ("", detail) => write!(f, " ({detail})"),
            (code, "") => write!(f, " (provider: {code})"),
            (code, detail) => write!(f, " (provider: {code}, {detail})"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn codes_are_unique_and_read_back() {
        for reason in Reason::ALL {
            assert_eq!(reason.code().parse(), Ok(*reason));
            assert!(reason.sentence().ends_with('.'), "{reason:?}");
        }
    }

    #[test]
    fn a_why_is_a_sentence_and_its_detail_is_bounded() {
        let why = Why::detailed(Reason::InvalidNumber, "é".repeat(500)).with_code(21211);
        assert_eq!(why.detail.chars().count(), DETAIL_LIMIT);
        assert!(
            why.to_string().starts_with("The provider does not accept the recipient's number. (provider: 21211, é")
        );
        assert_eq!(Why::plain(Reason::Expired).to_string(), Reason::Expired.sentence());
    }
}
