//! Columns → the file's schema, and beside it the nodes and leaves that rows are cut into.
//!
//! Everything is optional, since any page may lack anything. Lists have the three levels that the format asks for.

use super::leaf::{Leaf, Physical};
use super::shred::{Form, Node};
use crate::keys::Keys;
use model::{Column, ColumnKind};
use parquet::basic::{LogicalType, Repetition, TimeUnit, Type as PhysicalType};
use parquet::errors::ParquetError;
use parquet::schema::types::{Type, TypePtr};
use std::sync::Arc;

pub(super) struct Made {
    pub(super) root: TypePtr,
    /// One for each column; the last leaf, of the misfits, has none.
    pub(super) nodes: Vec<Node>,
    /// In the order of the file's columns.
    pub(super) leaves: Vec<Leaf>,
}

/// Where a node stands: optional nodes and lists above it.
#[derive(Clone, Copy)]
struct Levels {
    definition: i16,
    repetition: i16,
}

pub(super) fn make(columns: &[Column], misfit: &str) -> Result<Made, ParquetError> {
    let top = Levels { definition: 0, repetition: 0 };
    let mut leaves = Vec::new();
    let (mut fields, mut nodes) = (Vec::new(), Vec::new());
    for column in columns {
        let (field, node) = one(&column.name, &column.kind, top, &mut leaves)?;
        fields.push(field);
        nodes.push(node);
    }
    fields.push(one(misfit, &ColumnKind::Json, top, &mut leaves)?.0);
    let root = Type::group_type_builder("record").with_fields(fields).build()?;
    Ok(Made { root: Arc::new(root), nodes, leaves })
}

fn one(
    name: &str,
    kind: &ColumnKind,
    at: Levels,
    leaves: &mut Vec<Leaf>,
) -> Result<(TypePtr, Node), ParquetError> {
    let first = leaves.len();
    let (made, form) = match kind {
        ColumnKind::List(of) => {
            let below = Levels { definition: at.definition + 2, repetition: at.repetition + 1 };
            let (element, node) = one("element", of, below, leaves)?;
            let list = Type::group_type_builder("list")
                .with_repetition(Repetition::REPEATED)
                .with_fields(vec![element])
                .build()?;
            let made = Type::group_type_builder(name)
                .with_repetition(Repetition::OPTIONAL)
                .with_logical_type(Some(LogicalType::List))
                .with_fields(vec![Arc::new(list)])
                .build()?;
            (made, Form::List(Box::new(node)))
        }
        // A group must have fields.
        ColumnKind::Object(columns) if !columns.is_empty() => {
            let below = Levels { definition: at.definition + 1, ..at };
            let keys = Keys::new(columns.iter().map(|c| c.name.clone()));
            let (mut fields, mut nodes) = (Vec::new(), Vec::new());
            for name in keys.names() {
                let Some(column) = columns.iter().find(|c| c.name == *name) else { continue };
                let (field, node) = one(name, &column.kind, below, leaves)?;
                fields.push(field);
                nodes.push(node);
            }
            let made = Type::group_type_builder(name)
                .with_repetition(Repetition::OPTIONAL)
                .with_fields(fields)
                .build()?;
            (made, Form::Object(keys, nodes))
        }
        scalar => {
            let physical = Physical::of(scalar);
            leaves.push(Leaf::new(physical, at.repetition > 0));
            (primitive(name, physical)?, Form::Leaf)
        }
    };
    Ok((Arc::new(made), Node { form, leaves: first..leaves.len() }))
}

fn primitive(name: &str, physical: Physical) -> Result<Type, ParquetError> {
    let (stored, logical) = match physical {
        Physical::Text => (PhysicalType::BYTE_ARRAY, Some(LogicalType::String)),
        Physical::Json => (PhysicalType::BYTE_ARRAY, Some(LogicalType::Json)),
        Physical::Integer => (PhysicalType::INT64, None),
        Physical::Number => (PhysicalType::DOUBLE, None),
        Physical::Boolean => (PhysicalType::BOOLEAN, None),
        Physical::Day => (PhysicalType::INT32, Some(LogicalType::Date)),
        Physical::Moment => {
            let unit = LogicalType::timestamp(true, TimeUnit::MILLIS);
            (PhysicalType::INT64, Some(unit))
        }
    };
    Type::primitive_type_builder(name, stored)
        .with_repetition(Repetition::OPTIONAL)
        .with_logical_type(logical)
        .build()
}
