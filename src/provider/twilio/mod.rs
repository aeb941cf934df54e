//! Twilio SMS (PROVIDERS.md A).
