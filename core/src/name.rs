//! Names of namespaces and rooms.

use std::sync::Arc;

/// A name shared by everything that mentions it.
pub type Name = Arc<str>;
