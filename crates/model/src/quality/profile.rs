//! The profile of a run: counted row by row, merged slice by slice.

use crate::{FailureCode, Fate, Input, host_of_lane};
use serde::de::{DeserializeSeed, Deserializer, IgnoredAny, MapAccess, SeqAccess, Visitor};
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

/// Fields of one profile; a page can invent keys without end.
pub const PROFILE_FIELDS: usize = 500;
/// Bytes of a field's name; longer ones are not counted.
const NAME_BYTES: usize = 200;
/// Kinds of page, and hosts, of one profile; further hosts are counted together under the empty name.
const PAGE_KINDS: usize = 64;
const HOSTS: usize = 64;
/// Numbers beyond this are taken as this, so that sums of squares stay finite.
const LARGEST: f64 = 1e100;
/// Bytes of a text by which it is told from others.
const DIGEST_BYTES: usize = 256;
/// What every record has beside the scraper's fields.
const OWN_KEYS: [&str; 3] = ["timestamp", "input", "discovery_input"];

/// The JSON type of a value.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Kind {
    /// `null`.
    Null,
    /// A text.
    Text,
    /// A number.
    Number,
    /// `true` or `false`.
    Boolean,
    /// An object.
    Object,
    /// A list.
    List,
}

impl Kind {
    /// Every kind, in the order of [`Field::kinds`].
    pub const ALL: [Self; 6] =
        [Self::Null, Self::Text, Self::Number, Self::Boolean, Self::Object, Self::List];

    /// The word.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Null => "null",
            Self::Text => "text",
            Self::Number => "number",
            Self::Boolean => "boolean",
            Self::Object => "object",
            Self::List => "list",
        }
    }
}

/// Numbers summed up: how many, between what, around what.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Stats {
    /// How many.
    pub n: u64,
    /// The least; 0 if there are none.
    pub min: f64,
    /// The most; 0 if there are none.
    pub max: f64,
    /// Their sum.
    pub sum: f64,
    /// The sum of their squares.
    pub sq: f64,
}

impl Stats {
    /// One more.
    pub fn add(&mut self, value: f64) {
        if !value.is_nan() {
            let value = value.clamp(-LARGEST, LARGEST);
            self.merge(&Self { n: 1, min: value, max: value, sum: value, sq: value * value });
        }
    }

    /// All of another.
    pub fn merge(&mut self, other: &Self) {
        if other.n == 0 {
            return;
        }
        if self.n == 0 {
            *self = *other;
            return;
        }
        self.n = self.n.saturating_add(other.n);
        self.min = self.min.min(other.min);
        self.max = self.max.max(other.max);
        self.sum = (self.sum + other.sum).clamp(-f64::MAX, f64::MAX);
        self.sq = (self.sq + other.sq).min(f64::MAX);
    }

    /// The mean; `None` of nothing.
    #[expect(clippy::cast_precision_loss, reason = "counts of rows are far below 2^52")]
    pub fn mean(&self) -> Option<f64> {
        (self.n > 0).then(|| self.sum / self.n as f64)
    }

    /// The standard deviation; 0 of nothing.
    #[expect(clippy::cast_precision_loss, reason = "counts of rows are far below 2^52")]
    pub fn deviation(&self) -> f64 {
        self.mean().map_or(0.0, |mean| (self.sq / self.n as f64 - mean * mean).max(0.0).sqrt())
    }

    fn is_empty(&self) -> bool {
        self.n == 0
    }
}

/// One field over the rows of a run.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Field {
    /// Rows in which it holds something: not null, and no empty text, list or object.
    #[serde(rename = "f")]
    pub filled: u64,
    /// Rows by the value's type, in the order of [`Kind::ALL`]. Rows without the key are in none.
    #[serde(rename = "k")]
    pub kinds: [u64; 6],
    /// Its numbers.
    #[serde(rename = "n", default, skip_serializing_if = "Stats::is_empty")]
    pub numbers: Stats,
    /// Characters of its texts.
    #[serde(rename = "t", default, skip_serializing_if = "Stats::is_empty")]
    pub lengths: Stats,
    /// Elements of its lists.
    #[serde(rename = "l", default, skip_serializing_if = "Stats::is_empty")]
    pub items: Stats,
    /// Not all values are the same one.
    #[serde(rename = "v", default)]
    pub varied: bool,
    /// Its objects have a shape of their own: their fields are counted too, as `name.key` or `name[].key`.
    #[serde(rename = "i", default, skip_serializing_if = "std::ops::Not::not")]
    inner: bool,
    /// Digest of the one value, as long as it is not varied; 0 without a value.
    #[serde(rename = "o", default)]
    one: u64,
}

impl Field {
    /// Values that are there and not null.
    pub fn valued(&self) -> u64 {
        self.kinds[1..].iter().sum()
    }

    fn add(&mut self, shape: &Shape) {
        self.kinds[shape.kind as usize] += 1;
        if shape.filled {
            self.filled += 1;
            self.see(shape.digest);
        }
        match shape.kind {
            Kind::Number => self.numbers.add(shape.size),
            Kind::Text => self.lengths.add(shape.size),
            Kind::List => self.items.add(shape.size),
            Kind::Null | Kind::Boolean | Kind::Object => {}
        }
    }

    fn see(&mut self, digest: u64) {
        match digest {
            0 => {}
            _ if self.one == 0 => self.one = digest,
            _ => self.varied |= self.one != digest,
        }
    }

    fn merge(&mut self, other: &Self) {
        self.inner |= other.inner;
        self.filled = self.filled.saturating_add(other.filled);
        for (own, more) in self.kinds.iter_mut().zip(other.kinds) {
            *own = own.saturating_add(more);
        }
        self.numbers.merge(&other.numbers);
        self.lengths.merge(&other.lengths);
        self.items.merge(&other.items);
        self.varied |= other.varied;
        self.see(other.one);
        if self.varied {
            // Which one is seen first depends on the order of merging.
            self.one = self.one.max(other.one);
        }
    }
}

/// What the records of a run are like.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Profile {
    /// Records.
    pub rows: u64,
    /// By field: those of the output schema, then those seen.
    #[serde(default)]
    pub fields: BTreeMap<String, Field>,
    /// Values that were not counted because there are too many fields.
    #[serde(default)]
    pub uncounted: u64,
    /// Records and links that a page gave, by kind of page; the first pages of inputs stand under the empty name.
    #[serde(default)]
    pub pages: BTreeMap<String, Stats>,
    /// Pages by host.
    #[serde(default)]
    pub hosts: BTreeMap<String, u64>,
    /// The caller's rows that were read or refused, and a digest of them, whatever their order.
    #[serde(default)]
    pub given: u64,
    /// See [`Profile::given`].
    #[serde(default)]
    pub digest: u64,
    /// A limit was set: how much a page gives says nothing.
    #[serde(default)]
    pub limited: bool,
    /// Error rows by code; known when the run has ended.
    #[serde(default)]
    pub errors: BTreeMap<FailureCode, u64>,
}

impl Profile {
    /// A field that records should have, whether or not one does. `inner`: it holds objects of one shape.
    pub fn expect(&mut self, field: &str, inner: bool) {
        if let Some(field) = self.field(field) {
            field.inner |= inner;
        }
    }

    /// What the fill of a field is a share of: rows, or the objects that it is a part of.
    pub fn whole(&self, name: &str) -> u64 {
        self.parent(name).map_or(self.rows, |parent| parent.kinds[Kind::Object as usize])
    }

    /// The objects that a field is a part of; `None` for fields of the record itself.
    fn parent(&self, name: &str) -> Option<&Field> {
        let (parent, _) = name.rsplit_once('.')?;
        self.fields.get(parent.strip_suffix("[]").unwrap_or(parent)).filter(|field| field.inner)?;
        self.fields.get(parent)
    }

    /// The fields to compare with those of an earlier run: its own, and what its objects had then.
    pub(super) fn names<'p>(&'p self, before: &[&'p Self]) -> BTreeSet<&'p str> {
        let lost = before.iter().flat_map(|run| run.fields.keys()).filter(|name| self.parent(name).is_some());
        self.fields.keys().chain(lost).map(String::as_str).collect()
    }

    fn field(&mut self, name: &str) -> Option<&mut Field> {
        if name.len() > NAME_BYTES {
            return None;
        }
        if !self.fields.contains_key(name) {
            if self.fields.len() >= PROFILE_FIELDS {
                return None;
            }
            self.fields.insert(name.to_owned(), Field::default());
        }
        self.fields.get_mut(name)
    }

    fn count(&mut self, name: &str, shape: &Shape) {
        match self.field(name) {
            Some(field) => field.add(shape),
            None => self.uncounted += 1,
        }
    }

    /// Counts one record: a JSON object. What is none counts as a record without fields.
    pub fn row(&mut self, json: &str) {
        self.rows += 1;
        let mut read = serde_json::Deserializer::from_str(json);
        // Records are our own serialization; one that breaks off has been counted as far as it goes.
        let _ = read.deserialize_map(Row(self));
    }

    /// Counts what became of an input.
    pub fn input(&mut self, input: &Input, fate: &Fate) {
        let read = match fate {
            Fate::Read { records, led } => {
                let links = led.iter().filter(|to| to.found || to.kind != input.kind).count();
                Some(records.len() + links)
            }
            Fate::Never(_) => None,
            Fate::Later { .. } | Fate::Untouched | Fate::Skipped | Fate::Carried => return,
        };
        if input.depth == 0 && !input.found {
            self.given += 1;
            self.digest = self.digest.wrapping_add(fnv(input.row.as_bytes()));
        }
        let Some(gave) = read else { return };
        if self.pages.contains_key(&input.kind) || self.pages.len() < PAGE_KINDS {
            #[expect(clippy::cast_precision_loss, reason = "rows of a page are far below 2^52")]
            self.pages.entry(input.kind.clone()).or_default().add(gave as f64);
        }
        self.host(host_of_lane(&input.host), 1);
    }

    fn host(&mut self, host: &str, pages: u64) {
        let known = self.hosts.contains_key(host) || self.hosts.len() < HOSTS;
        let name = if known && host.len() <= NAME_BYTES { host } else { "" };
        let n = self.hosts.entry(name.to_owned()).or_insert(0);
        *n = n.saturating_add(pages);
    }

    /// Takes in the profile of another part of the same run.
    pub fn merge(&mut self, other: &Self) {
        self.rows = self.rows.saturating_add(other.rows);
        self.uncounted = self.uncounted.saturating_add(other.uncounted);
        for (name, field) in &other.fields {
            match self.field(name) {
                Some(own) => own.merge(field),
                None => self.uncounted = self.uncounted.saturating_add(field.kinds.iter().sum()),
            }
        }
        for (kind, stats) in &other.pages {
            if self.pages.contains_key(kind) || self.pages.len() < PAGE_KINDS {
                self.pages.entry(kind.clone()).or_default().merge(stats);
            }
        }
        for (host, n) in &other.hosts {
            self.host(host, *n);
        }
        self.given = self.given.saturating_add(other.given);
        self.digest = self.digest.wrapping_add(other.digest);
        self.limited |= other.limited;
        for (code, n) in &other.errors {
            *self.errors.entry(*code).or_insert(0) += n;
        }
    }

    /// Pages that were read.
    pub fn pages_read(&self) -> u64 {
        self.pages.values().map(|stats| stats.n).sum()
    }
}

/// FNV-1a, 64 bits; never 0, which stands for nothing.
fn fnv(bytes: &[u8]) -> u64 {
    let hash = bytes
        .iter()
        .fold(0xcbf2_9ce4_8422_2325_u64, |hash, b| (hash ^ u64::from(*b)).wrapping_mul(0x0100_0000_01b3));
    hash.max(1)
}

/// Reads the fields of one record into a profile, without keeping its values.
struct Row<'p>(&'p mut Profile);

impl<'de> Visitor<'de> for Row<'_> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a record")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<(), A::Error> {
        while let Some(name) = map.next_key::<std::borrow::Cow<'de, str>>()? {
            if OWN_KEYS.contains(&&*name) {
                map.next_value::<IgnoredAny>()?;
                continue;
            }
            let shape = if self.0.fields.get(&*name).is_some_and(|field| field.inner) {
                map.next_value_seed(Inner { profile: &mut *self.0, name: &name, elements: true })?
            } else {
                map.next_value::<Shape>()?
            };
            self.0.count(&name, &shape);
        }
        Ok(())
    }
}

/// Reads a value whose objects have a shape of their own: one level, and lists of that.
struct Inner<'p> {
    profile: &'p mut Profile,
    name: &'p str,
    /// It may be a list of objects.
    elements: bool,
}

impl<'de> DeserializeSeed<'de> for Inner<'_> {
    type Value = Shape;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Shape, D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Inner<'_> {
    type Value = Shape;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        ShapeVisitor.expecting(f)
    }

    fn visit_unit<E: serde::de::Error>(self) -> Result<Shape, E> {
        ShapeVisitor.visit_unit()
    }

    fn visit_bool<E: serde::de::Error>(self, value: bool) -> Result<Shape, E> {
        ShapeVisitor.visit_bool(value)
    }

    fn visit_i64<E: serde::de::Error>(self, value: i64) -> Result<Shape, E> {
        ShapeVisitor.visit_i64(value)
    }

    fn visit_u64<E: serde::de::Error>(self, value: u64) -> Result<Shape, E> {
        ShapeVisitor.visit_u64(value)
    }

    fn visit_f64<E: serde::de::Error>(self, value: f64) -> Result<Shape, E> {
        ShapeVisitor.visit_f64(value)
    }

    fn visit_str<E: serde::de::Error>(self, value: &str) -> Result<Shape, E> {
        ShapeVisitor.visit_str(value)
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<Shape, A::Error> {
        if !self.elements {
            return ShapeVisitor.visit_seq(seq);
        }
        let name = format!("{}[]", self.name);
        let mut n = 0_u64;
        while let Some(shape) =
            seq.next_element_seed(Inner { profile: &mut *self.profile, name: &name, elements: false })?
        {
            self.profile.count(&name, &shape);
            n += 1;
        }
        Ok(Shape::of(Kind::List, n))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Shape, A::Error> {
        let mut n = 0_u64;
        while let Some(key) = map.next_key::<std::borrow::Cow<'de, str>>()? {
            let shape = map.next_value::<Shape>()?;
            self.profile.count(&format!("{}.{key}", self.name), &shape);
            n += 1;
        }
        Ok(Shape::of(Kind::Object, n))
    }
}

/// What counts of a value.
struct Shape {
    kind: Kind,
    filled: bool,
    /// The number, the characters, the elements.
    size: f64,
    /// 0 if it is not worth comparing.
    digest: u64,
}

impl Shape {
    /// Of a list or an object with so many parts.
    #[expect(clippy::cast_precision_loss, reason = "parts of a value are far below 2^52")]
    fn of(kind: Kind, parts: u64) -> Self {
        Self { kind, filled: parts > 0, size: parts as f64, digest: 0 }
    }
}

impl<'de> Deserialize<'de> for Shape {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(ShapeVisitor)
    }
}

struct ShapeVisitor;

#[expect(clippy::cast_precision_loss, reason = "a digit in the sixteenth place changes no verdict")]
impl<'de> Visitor<'de> for ShapeVisitor {
    type Value = Shape;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a value")
    }

    fn visit_unit<E>(self) -> Result<Shape, E> {
        Ok(Shape { kind: Kind::Null, filled: false, size: 0.0, digest: 0 })
    }

    fn visit_bool<E>(self, value: bool) -> Result<Shape, E> {
        Ok(Shape { kind: Kind::Boolean, filled: true, size: 0.0, digest: 1 + u64::from(value) })
    }

    fn visit_i64<E: serde::de::Error>(self, value: i64) -> Result<Shape, E> {
        self.visit_f64(value as f64)
    }

    fn visit_u64<E: serde::de::Error>(self, value: u64) -> Result<Shape, E> {
        self.visit_f64(value as f64)
    }

    fn visit_f64<E>(self, value: f64) -> Result<Shape, E> {
        Ok(Shape { kind: Kind::Number, filled: true, size: value, digest: fnv(&value.to_le_bytes()) })
    }

    fn visit_str<E>(self, value: &str) -> Result<Shape, E> {
        // Long texts that begin alike and are equally long are one: that decides nothing but `varied`.
        let head = &value.as_bytes()[..value.len().min(DIGEST_BYTES)];
        let digest = if value.is_empty() { 0 } else { (fnv(head) ^ value.len() as u64).max(1) };
        Ok(Shape { kind: Kind::Text, filled: digest != 0, size: value.chars().count() as f64, digest })
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<Shape, A::Error> {
        let mut n = 0_u64;
        while seq.next_element::<IgnoredAny>()?.is_some() {
            n += 1;
        }
        Ok(Shape::of(Kind::List, n))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Shape, A::Error> {
        let mut n = 0_u64;
        while map.next_entry::<IgnoredAny, IgnoredAny>()?.is_some() {
            n += 1;
        }
        Ok(Shape::of(Kind::Object, n))
    }
}
