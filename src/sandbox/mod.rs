//! The provider simulator: an HTTP server that speaks the providers' wire formats strictly.
