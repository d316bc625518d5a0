//! `json.jmespath(text, "path")`: a part of a JSON text, by the rules of JMESPath. A list of scalars is a list, an object of
//! scalars a map; null is no value.

use jmespath::Variable;

use super::super::expression::Arguments;
use super::super::kind::VALUES_MAX;
use super::prepare::literal;
use super::{Expression, Function, Kind, Prepared, TEXT_BYTES_MAX, Value, filled};

pub(super) const FUNCTIONS: &[Function] =
    &[Function::new("json.jmespath", (2, 2), Kind::Text, search).prepared(prepare)];

/// Bytes of a path, at most: the library reads it by recursion, a level or two for each at the worst.
const PATH_BYTES_MAX: usize = 500;

/// Commas of a path, at most: each can double what it gives, as in `[@, @][]`, `[@, @][]` and so on.
const PATH_COMMAS_MAX: usize = 8;

fn prepare(_place: usize, arguments: &[Expression]) -> Result<Prepared, String> {
    let path = literal(arguments, 1, "the path of `json.jmespath`")?;
    if path.len() > PATH_BYTES_MAX || path.matches(',').count() > PATH_COMMAS_MAX {
        return Err(format!(
            "the path of `json.jmespath` may have at most {PATH_BYTES_MAX} bytes and {PATH_COMMAS_MAX} commas"
        ));
    }
    match jmespath::compile(path) {
        Ok(compiled) => Ok(Prepared::Path(Path(compiled))),
        Err(error) => Err(format!(
            "the path of `json.jmespath` cannot be read at its character {}: {}",
            error.column + 1,
            error.reason
        )),
    }
}

/// A path that has been read.
#[derive(Clone)]
pub(in super::super) struct Path(jmespath::Expression<'static>);

impl std::fmt::Debug for Path {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.0.as_str())
    }
}

fn search(arguments: Arguments<'_>) -> Option<Value<'_>> {
    let Prepared::Path(Path(path)) = arguments.prepared else {
        return None;
    };
    let text = filled(&arguments, 0).filter(|text| text.len() <= TEXT_BYTES_MAX)?;
    let data = Variable::from_json(&text).ok()?;
    match &*path.search(data).ok()? {
        Variable::Array(items) => {
            let items: Vec<_> = items.iter().filter_map(|item| scalar(item)).take(VALUES_MAX).collect();
            (!items.is_empty()).then(|| Value::list(items))
        }
        Variable::Object(members) => {
            let entries = members
                .iter()
                .filter_map(|(key, item)| Some((key.clone().into(), scalar(item)?)));
            Value::map(entries.take(VALUES_MAX))
        }
        single => scalar(single),
    }
}

fn scalar<'v>(item: &Variable) -> Option<Value<'v>> {
    match item {
        Variable::String(text) => Some(text.clone().into()),
        Variable::Bool(bool) => Some(Value::Bool(*bool)),
        Variable::Number(number) => match number.as_i64() {
            Some(int) => Some(Value::Int(int)),
            None => number.as_f64().map(Value::Number),
        },
        Variable::Null | Variable::Array(_) | Variable::Object(_) | Variable::Expref(_) => None,
    }
}
