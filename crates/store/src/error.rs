//! What a store call can end in, by what the caller can do about it.

/// What a store call can end in.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// There is no such thing.
    #[error("{0} does not exist")]
    NotFound(&'static str),
    /// The state does not allow it.
    #[error("{0}")]
    Conflict(&'static str),
    /// Another holds the job or delivery: drop the work.
    #[error("the lease was lost")]
    LeaseLost,
    /// What was asked makes no sense: a bug of the caller.
    #[error("invalid: {0}")]
    Invalid(String),
    /// The store cannot be reached or is full; the outcome of a write is unknown. Ask again.
    #[error("the store is unavailable: {0}")]
    Unavailable(String),
    /// What was read back does not make sense.
    #[error("the store is damaged: {0}")]
    Damaged(String),
}
