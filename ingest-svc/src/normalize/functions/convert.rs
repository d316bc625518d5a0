//! From one kind to another.

use super::prepare::{Cast, literal};
use super::{Function, Kind, Prepared, Value, present};

pub(super) const FUNCTIONS: &[Function] = &[
    Function::new("toint", (1, 1), Kind::Int, |arguments| {
        arguments.get(0)?.into_int().map(Value::Int)
    }),
    Function::new("tonumber", (1, 1), Kind::Number, |arguments| {
        arguments.get(0)?.into_number().map(Value::Number)
    }),
    Function::new("tobool", (1, 1), Kind::Bool, |arguments| {
        arguments.get(0)?.into_bool().map(Value::Bool)
    }),
    // Without a value an empty text, which is a value.
    Function::new("tostring", (1, 1), Kind::Text, |arguments| match arguments.get(0) {
        None => Some(Value::from("")),
        Some(value) => value.into_text().map(Value::Text),
    }),
    // `cast(x AS kind)`, `cast(x, "kind")`
    Function::new("cast", (2, 2), Kind::Text, |arguments| {
        let value = present(&arguments, 0)?;
        match arguments.prepared {
            Prepared::Cast(Cast::Text) => value.into_text().map(Value::Text),
            Prepared::Cast(Cast::Int) => value.into_int().map(Value::Int),
            Prepared::Cast(Cast::Date) => value.into_date(arguments.scope.now).map(Value::Date),
            _ => None,
        }
    })
    .prepared(|_, arguments| {
        let kind = literal(arguments, 1, "the kind of `cast`")?;
        match kind.to_ascii_lowercase().as_str() {
            "string" | "char" => Ok(Prepared::Cast(Cast::Text)),
            "int" => Ok(Prepared::Cast(Cast::Int)),
            "time" | "date" => Ok(Prepared::Cast(Cast::Date)),
            _ => Err(format!(
                "`cast` knows no kind `{kind}`; there are string, char, int, time"
            )),
        }
    }),
    // The bits of a whole number, read without a sign.
    Function::new("unsign", (1, 1), Kind::Text, |arguments| {
        Some(arguments.get(0)?.into_int()?.cast_unsigned().to_string().into())
    }),
];
