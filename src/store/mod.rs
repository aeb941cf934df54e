//! The only SQL: one text for embedded SQLite and for Postgres.
