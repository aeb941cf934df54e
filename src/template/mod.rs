//! Templates: the catalogue, the choice of a locale, rendering, segments.
