//! The schema that a file was written with.
//!
//! By the specification of Avro 1.12. What a logical type means is left to whoever reads the values: a date is a number.

use std::collections::HashMap;

use serde_json::{Map, Value};

/// Types within each other, at most, and in all.
const DEPTH_MAX: usize = 32;
const TYPES_MAX: usize = 10_000;
/// Of a type, its namespace included.
const NAME_BYTES_MAX: usize = 1_024;

/// A type, by its place in its schema.
pub(super) type TypeId = usize;

/// The types of a file.
#[derive(Debug, Default)]
pub(super) struct Schema {
    types: Vec<Type>,
    /// The named ones.
    names: HashMap<String, TypeId>,
}

#[derive(Debug)]
pub(super) enum Type {
    Null,
    Boolean,
    /// `int` and `long` are written alike.
    Integer,
    Float,
    Double,
    Bytes,
    Text,
    Fixed(usize),
    Enum(Vec<String>),
    List(TypeId),
    Map(TypeId),
    Union(Vec<TypeId>),
    Record(Vec<Field>),
    /// A name of which the type comes later.
    Named,
}

#[derive(Debug)]
pub(super) struct Field {
    pub(super) name: String,
    pub(super) of: TypeId,
}

/// Why a schema cannot be used.
pub(super) type Problem = String;

impl Schema {
    /// Reads a schema; it, the type of the rows, and its name.
    pub(super) fn read(json: &[u8]) -> Result<(Self, TypeId, String), Problem> {
        let json: Value = serde_json::from_slice(json).map_err(|_| "the schema is no JSON".to_owned())?;
        let mut schema = Self::default();
        let root = schema.add(&json, "", 0)?;
        if !matches!(schema.types[root], Type::Record(_)) {
            return Err("the schema is no record's".to_owned());
        }
        let name = schema.names.iter().find(|(_, of)| **of == root);
        let name = name.map(|(name, _)| name.clone()).unwrap_or_default();
        Ok((schema, root, name))
    }

    pub(super) fn of(&self, id: TypeId) -> &Type {
        &self.types[id]
    }

    /// The fields of a record.
    pub(super) fn fields(&self, id: TypeId) -> &[Field] {
        match &self.types[id] {
            Type::Record(fields) => fields,
            _ => &[],
        }
    }

    fn push(&mut self, of: Type) -> Result<TypeId, Problem> {
        if self.types.len() >= TYPES_MAX {
            return Err(format!("the schema has more than {TYPES_MAX} types"));
        }
        self.types.push(of);
        Ok(self.types.len() - 1)
    }

    fn add(&mut self, json: &Value, namespace: &str, depth: usize) -> Result<TypeId, Problem> {
        if depth > DEPTH_MAX {
            return Err(format!("the schema is nested more than {DEPTH_MAX} deep"));
        }
        match json {
            Value::String(name) => match primitive(name) {
                Some(of) => self.push(of),
                None => {
                    let known = self.names.get(&full(name, namespace)).or_else(|| self.names.get(name));
                    known
                        .copied()
                        .ok_or_else(|| format!("the schema names no type `{name}`"))
                }
            },
            Value::Array(options) => {
                let options = options.iter().map(|option| self.add(option, namespace, depth + 1));
                let options = options.collect::<Result<_, _>>()?;
                self.push(Type::Union(options))
            }
            Value::Object(members) => self.complex(members, namespace, depth),
            _ => Err("the schema has something that is no type".to_owned()),
        }
    }

    fn complex(&mut self, members: &Map<String, Value>, namespace: &str, depth: usize) -> Result<TypeId, Problem> {
        let text = |name: &str| members.get(name).and_then(Value::as_str);
        let part = |name: &str| {
            let missing = || format!("a type of the schema has no `{name}`");
            members.get(name).ok_or_else(missing)
        };
        let kind = match part("type")? {
            Value::String(kind) => kind.as_str(),
            nested => return self.add(nested, namespace, depth + 1),
        };
        let of = match kind {
            "array" => Type::List(self.add(part("items")?, namespace, depth + 1)?),
            "map" => Type::Map(self.add(part("values")?, namespace, depth + 1)?),
            "record" | "error" | "enum" | "fixed" => {
                let name = text("name").ok_or("a type of the schema has no name")?;
                let name = full(name, text("namespace").unwrap_or(namespace));
                if name.len() > NAME_BYTES_MAX {
                    return Err("a name of the schema is longer than 1024 bytes".into());
                }
                let inner = name.rsplit_once('.').map_or("", |(namespace, _)| namespace).to_owned();
                // Named before it is read: it may contain itself.
                let id = self.push(Type::Named)?;
                self.names.insert(name, id);
                self.types[id] = match kind {
                    "enum" => {
                        let symbols = part("symbols")?.as_array().into_iter().flatten();
                        Type::Enum(symbols.filter_map(|symbol| Some(symbol.as_str()?.to_owned())).collect())
                    }
                    "fixed" => {
                        let size = part("size")?.as_u64().and_then(|size| usize::try_from(size).ok());
                        Type::Fixed(size.ok_or("a size of the schema is none")?)
                    }
                    _ => {
                        let fields = part("fields")?.as_array().into_iter().flatten();
                        Type::Record(
                            fields
                                .map(|field| self.field(field, &inner, depth))
                                .collect::<Result<_, _>>()?,
                        )
                    }
                };
                return Ok(id);
            }
            other => return self.add(&Value::from(other), namespace, depth + 1),
        };
        self.push(of)
    }

    fn field(&mut self, field: &Value, namespace: &str, depth: usize) -> Result<Field, Problem> {
        let name = field.get("name").and_then(Value::as_str);
        let (name, of) = name
            .zip(field.get("type"))
            .ok_or("a field of the schema has no name or no type")?;
        Ok(Field {
            name: name.to_owned(),
            of: self.add(of, namespace, depth + 1)?,
        })
    }
}

fn primitive(name: &str) -> Option<Type> {
    Some(match name {
        "null" => Type::Null,
        "boolean" => Type::Boolean,
        "int" | "long" => Type::Integer,
        "float" => Type::Float,
        "double" => Type::Double,
        "bytes" => Type::Bytes,
        "string" => Type::Text,
        _ => return None,
    })
}

fn full(name: &str, namespace: &str) -> String {
    match namespace {
        "" => name.to_owned(),
        _ if name.contains('.') => name.to_owned(),
        namespace => format!("{namespace}.{name}"),
    }
}
