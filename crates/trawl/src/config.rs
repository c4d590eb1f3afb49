//! Settings: defaults < file < environment < flags, checked together before anything opens.
