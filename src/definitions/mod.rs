//! An organization's definitions as files: read, validated as a whole, compared, applied.
