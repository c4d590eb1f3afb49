//! HTTP in: the documented API, its door, and the server that speaks it.
