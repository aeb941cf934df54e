//! What moves messages: dispatcher, sender, transport, committer, janitor.
