//! One column of the file between two row groups: its levels, and its values in the form they are stored in.

use bytes::Bytes;
use chrono::{DateTime, NaiveDate, NaiveDateTime};
use model::ColumnKind;
use parquet::column::writer::ColumnWriter;
use parquet::data_type::ByteArray;
use parquet::errors::ParquetError;

/// Memory of an entry beside its text: two levels, and a value or the end of a text if it is not null.
const ENTRY_BYTES: usize = 8;

/// How a value is stored.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Physical {
    Text,
    Json,
    Integer,
    Number,
    Boolean,
    Day,
    Moment,
}

impl Physical {
    /// What has parts is stored as JSON where it may not have them.
    pub(super) fn of(kind: &ColumnKind) -> Self {
        match kind {
            ColumnKind::Text => Self::Text,
            ColumnKind::Json | ColumnKind::List(_) | ColumnKind::Object(_) => Self::Json,
            ColumnKind::Integer => Self::Integer,
            ColumnKind::Number => Self::Number,
            ColumnKind::Boolean => Self::Boolean,
            ColumnKind::Date => Self::Day,
            ColumnKind::Moment => Self::Moment,
        }
    }
}

pub(super) struct Leaf {
    physical: Physical,
    definitions: Vec<i16>,
    /// Only within lists.
    repetitions: Option<Vec<i16>>,
    values: Values,
}

enum Values {
    /// Texts one behind the other, and where each ends.
    Texts {
        text: Vec<u8>,
        ends: Vec<usize>,
    },
    Longs(Vec<i64>),
    Doubles(Vec<f64>),
    Booleans(Vec<bool>),
    Ints(Vec<i32>),
}

impl Leaf {
    pub(super) fn new(physical: Physical, in_list: bool) -> Self {
        let values = match physical {
            Physical::Text | Physical::Json => Values::Texts { text: Vec::new(), ends: Vec::new() },
            Physical::Integer | Physical::Moment => Values::Longs(Vec::new()),
            Physical::Number => Values::Doubles(Vec::new()),
            Physical::Boolean => Values::Booleans(Vec::new()),
            Physical::Day => Values::Ints(Vec::new()),
        };
        let repetitions = in_list.then(Vec::new);
        Self { physical, definitions: Vec::new(), repetitions, values }
    }

    /// Memory of the entries, beside their texts. Short lists of wide objects are mostly this.
    pub(super) fn entry_bytes(&self) -> usize {
        self.definitions.len() * ENTRY_BYTES
    }

    /// Null, at that level.
    pub(super) fn absent(&mut self, definition: i16, repetition: i16) {
        self.definitions.push(definition);
        if let Some(repetitions) = &mut self.repetitions {
            repetitions.push(repetition);
        }
    }

    /// A text that is there; `definition` is that of the value itself.
    pub(super) fn text(&mut self, value: &str, definition: i16, repetition: i16) {
        if let Values::Texts { text, ends } = &mut self.values {
            text.extend_from_slice(value.as_bytes());
            ends.push(text.len());
            self.absent(definition, repetition);
        }
    }

    /// A JSON value under a node of that definition; false if it does not fit, and then it is null.
    pub(super) fn value(&mut self, raw: &str, definition: i16, repetition: i16) -> bool {
        let fits = self.store(raw).is_some();
        self.absent(if fits { definition + 1 } else { definition }, repetition);
        fits
    }

    fn store(&mut self, raw: &str) -> Option<()> {
        match &mut self.values {
            Values::Texts { text, ends } => {
                match (self.physical, plain(raw)) {
                    (Physical::Json, _) => text.extend_from_slice(raw.as_bytes()),
                    (_, Some(plain)) => text.extend_from_slice(plain.as_bytes()),
                    (_, None) => {
                        let unescaped: String = serde_json::from_str(raw).ok()?;
                        text.extend_from_slice(unescaped.as_bytes());
                    }
                }
                ends.push(text.len());
            }
            Values::Longs(longs) => longs.push(match self.physical {
                Physical::Moment => moment(plain(raw)?)?,
                _ => raw.parse().ok()?,
            }),
            // JSON's numbers begin with a digit or a minus; Rust would read `inf` too, which JSON does not have.
            Values::Doubles(doubles) => {
                let starts = raw.starts_with(|c: char| c.is_ascii_digit() || c == '-');
                doubles.push(raw.parse().ok().filter(|n: &f64| starts && n.is_finite())?);
            }
            Values::Booleans(booleans) => booleans.push(raw.parse().ok()?),
            Values::Ints(days) => {
                let day: NaiveDate = plain(raw).filter(|t| t.len() == 10)?.parse().ok()?;
                days.push(i32::try_from(day.signed_duration_since(NaiveDate::default()).num_days()).ok()?);
            }
        }
        Some(())
    }

    /// Hands everything to the encoder and is empty then.
    pub(super) fn write(&mut self, column: &mut ColumnWriter<'_>) -> Result<(), ParquetError> {
        let definitions = std::mem::take(&mut self.definitions);
        let repetitions = self.repetitions.as_mut().map(std::mem::take);
        let levels = (definitions.as_slice(), repetitions.as_deref());
        let mismatch = || Err(ParquetError::General("a column of another type than its leaf".to_owned()));
        match (&mut self.values, column) {
            (Values::Texts { text, ends }, ColumnWriter::ByteArrayColumnWriter(writer)) => {
                let text = Bytes::from(std::mem::take(text));
                let ends = std::mem::take(ends);
                let mut start = 0;
                let mut values = Vec::with_capacity(ends.len());
                for end in ends {
                    values.push(ByteArray::from(text.slice(start..end)));
                    start = end;
                }
                writer.write_batch(&values, Some(levels.0), levels.1)?;
            }
            (Values::Longs(values), ColumnWriter::Int64ColumnWriter(writer)) => {
                writer.write_batch(&std::mem::take(values), Some(levels.0), levels.1)?;
            }
            (Values::Doubles(values), ColumnWriter::DoubleColumnWriter(writer)) => {
                writer.write_batch(&std::mem::take(values), Some(levels.0), levels.1)?;
            }
            (Values::Booleans(values), ColumnWriter::BoolColumnWriter(writer)) => {
                writer.write_batch(&std::mem::take(values), Some(levels.0), levels.1)?;
            }
            (Values::Ints(values), ColumnWriter::Int32ColumnWriter(writer)) => {
                writer.write_batch(&std::mem::take(values), Some(levels.0), levels.1)?;
            }
            _ => return mismatch(),
        }
        Ok(())
    }
}

/// The text of a JSON string that has no escapes.
fn plain(raw: &str) -> Option<&str> {
    let inside = raw.strip_prefix('"')?.strip_suffix('"')?;
    memchr::memchr(b'\\', inside.as_bytes()).is_none().then_some(inside)
}

/// Milliseconds since 1970.
fn moment(text: &str) -> Option<i64> {
    if let Ok(at) = DateTime::parse_from_rfc3339(text) {
        return Some(at.timestamp_millis());
    }
    if let Ok(at) = text.parse::<NaiveDateTime>() {
        return Some(at.and_utc().timestamp_millis());
    }
    let day: NaiveDate = text.parse().ok().filter(|_| text.len() == 10)?;
    Some(day.and_hms_opt(0, 0, 0)?.and_utc().timestamp_millis())
}
