//! The parts put together: one value that the commands and the servers share.
