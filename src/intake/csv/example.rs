//! The example files.
