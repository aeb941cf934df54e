//! Providers as pure functions: messages in, HTTP requests out; HTTP replies in, outcomes out. No socket is opened here.
