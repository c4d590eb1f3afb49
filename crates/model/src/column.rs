//! What the values of fields are as JSON: what a scraper file promises, and what formats with types make columns of.

/// One column of a table.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Column {
    /// Key in the row.
    pub name: String,
    /// What its values are.
    pub kind: ColumnKind,
}

/// What the values of a column are, as JSON and as the column shows them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ColumnKind {
    /// A string.
    Text,
    /// Anything: the column holds its JSON text.
    Json,
    /// A number without fraction, within 64 bits.
    Integer,
    /// A number.
    Number,
    /// `true` or `false`.
    Boolean,
    /// The text of a day, `2026-09-01`.
    Date,
    /// The text of a moment, ISO 8601. One that names no offset is taken to be UTC, one without a time midnight.
    Moment,
    /// A list of such values.
    List(Box<ColumnKind>),
    /// An object with these keys.
    Object(Vec<Column>),
}
