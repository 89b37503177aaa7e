//! Filters and metadata as JSON. The form of a filter is that of MongoDB, Pinecone and Chroma:
//! `{"color": "red", "year": {"$gte": 2000}}`, with `$and`, `$or` and `$not`.

use semblance::corpus::{Filter, Test, Value};
use serde_json::{Map, Value as Json};

use super::RequestError;

/// Maximum depth of a filter, and maximum number of its conditions.
const MAX_DEPTH: usize = 16;
const MAX_CONDITIONS: usize = 1_000;

/// Returns the filter that a JSON value describes.
///
/// # Errors
/// - [`RequestError::BadFilter`] if it is not a filter.
///
/// # Examples
/// ```
/// use semblance_api::filter_from_json;
/// use serde_json::json;
///
/// assert!(filter_from_json(&json!({"color": "red", "year": {"$gte": 2000}})).is_ok());
/// assert!(filter_from_json(&json!({"year": {"$near": 2000}})).is_err());
/// ```
pub fn filter_from_json(json: &Json) -> Result<Filter, RequestError> {
    Reader { conditions: 0 }.filter(json, "filter", 0)
}

/// Returns the value of metadata that a JSON value describes, or none if it is a list or an object.
#[must_use]
pub fn metadata_from_json(json: &Json) -> Option<Value> {
    match json {
        Json::Null => Some(Value::Null),
        Json::Bool(value) => Some(Value::Boolean(*value)),
        Json::Number(number) => match number.as_i64() {
            Some(integer) => Some(Value::Integer(integer)),
            None => number.as_f64().filter(|number| number.is_finite()).map(Value::Number),
        },
        Json::String(text) => Some(Value::Text(text.clone())),
        Json::Array(_) | Json::Object(_) => None,
    }
}

/// Returns a value of metadata as JSON.
#[must_use]
pub fn metadata_to_json(value: &Value) -> Json {
    match value {
        Value::Null => Json::Null,
        Value::Boolean(value) => Json::from(*value),
        Value::Integer(value) => Json::from(*value),
        Value::Number(value) => Json::from(*value),
        Value::Text(value) => Json::from(value.as_str()),
    }
}

struct Reader {
    conditions: usize,
}

impl Reader {
    fn filter(&mut self, json: &Json, path: &str, depth: usize) -> Result<Filter, RequestError> {
        let Json::Object(fields) = json else { return Err(bad(path, "it must be an object")) };
        if depth > MAX_DEPTH {
            return Err(bad(path, "it must have at most 16 levels"));
        }
        let part = |(index, (name, value)): (usize, (&String, &Json))| match name.as_str() {
            "$and" => self.list(value, &format!("{path}.$and"), depth).map(Filter::All),
            "$or" => self.list(value, &format!("{path}.$or"), depth).map(Filter::Any),
            "$not" => {
                let filter = self.filter(value, &format!("{path}.$not"), depth + 1)?;
                Ok(Filter::Not(Box::new(filter)))
            }
            name if name.starts_with('$') => {
                Err(bad(path, "an operator of filters must be one of $and, $or, $not"))
            }
            // The name of a column is the user's; its position is not.
            name => self.column(name, value, &format!("{path}[{index}]")),
        };
        all(fields.iter().enumerate().map(part).collect::<Result<_, _>>()?)
    }

    fn list(&mut self, json: &Json, path: &str, depth: usize) -> Result<Vec<Filter>, RequestError> {
        match json {
            Json::Array(items) if !items.is_empty() => {
                let each = items.iter().enumerate();
                each.map(|(i, item)| self.filter(item, &format!("{path}[{i}]"), depth + 1))
                    .collect()
            }
            _ => Err(bad(path, "it must be a list of at least one filter")),
        }
    }

    fn column(&mut self, name: &str, json: &Json, path: &str) -> Result<Filter, RequestError> {
        let test = |test| Filter::Column { name: name.to_owned(), test };
        let Json::Object(operators) = json else {
            self.count(path)?;
            return Ok(test(Test::In(vec![scalar(json, path)?])));
        };
        self.operators(operators, path, &test)
    }

    fn operators(
        &mut self,
        operators: &Map<String, Json>,
        path: &str,
        test: &dyn Fn(Test) -> Filter,
    ) -> Result<Filter, RequestError> {
        if operators.is_empty() {
            return Err(bad(path, "a condition must have at least one operator"));
        }
        let mut tests = Vec::with_capacity(operators.len());
        for (operator, value) in operators {
            self.count(path)?;
            let not = |filter| Filter::Not(Box::new(filter));
            tests.push(match operator.as_str() {
                "$eq" => test(Test::In(vec![scalar(value, path)?])),
                "$ne" => not(test(Test::In(vec![scalar(value, path)?]))),
                "$in" => test(Test::In(scalars(value, path)?)),
                "$nin" => not(test(Test::In(scalars(value, path)?))),
                "$lt" => test(Test::Less(bound(value, path)?)),
                "$lte" => test(Test::AtMost(bound(value, path)?)),
                "$gt" => test(Test::Greater(bound(value, path)?)),
                "$gte" => test(Test::AtLeast(bound(value, path)?)),
                "$exists" => {
                    let null = test(Test::In(vec![Value::Null]));
                    match value.as_bool() {
                        Some(true) => not(null),
                        Some(false) => null,
                        None => return Err(bad(path, "$exists must be true or false")),
                    }
                }
                _ => {
                    let rule = "an operator of a column must be one of $eq, $ne, $in, $nin, $lt, \
                                $lte, $gt, $gte, $exists";
                    return Err(bad(path, rule));
                }
            });
        }
        all(tests)
    }

    fn count(&mut self, path: &str) -> Result<(), RequestError> {
        self.conditions += 1;
        match self.conditions {
            0..=MAX_CONDITIONS => Ok(()),
            _ => Err(bad(path, "a filter must have at most 1000 conditions")),
        }
    }
}

fn all(mut filters: Vec<Filter>) -> Result<Filter, RequestError> {
    Ok(match filters.len() {
        1 => filters.swap_remove(0),
        _ => Filter::All(filters),
    })
}

fn scalar(json: &Json, path: &str) -> Result<Value, RequestError> {
    let rule = "a value must be a string, a number, a boolean or null";
    metadata_from_json(json).ok_or_else(|| bad(path, rule))
}

fn scalars(json: &Json, path: &str) -> Result<Vec<Value>, RequestError> {
    match json {
        Json::Array(items) => items.iter().map(|item| scalar(item, path)).collect(),
        _ => Err(bad(path, "$in and $nin must have a list of values")),
    }
}

fn bound(json: &Json, path: &str) -> Result<Value, RequestError> {
    match scalar(json, path)? {
        Value::Null => Err(bad(path, "a bound must not be null")),
        bound => Ok(bound),
    }
}

fn bad(path: &str, reason: &'static str) -> RequestError {
    RequestError::BadFilter { path: path.to_owned(), reason }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn reads_every_operator() {
        let column = |test| Filter::Column { name: "x".to_owned(), test };
        let not = |filter| Filter::Not(Box::new(filter));
        let (one, null) = (Value::Integer(1), Value::Null);
        let in_list = |values: Vec<Value>| column(Test::In(values));
        let cases = [
            (json!({"x": 1}), in_list(vec![one.clone()])),
            (json!({"x": null}), in_list(vec![null.clone()])),
            (json!({"x": {"$eq": 1.5}}), in_list(vec![Value::Number(1.5)])),
            (json!({"x": {"$ne": true}}), not(in_list(vec![Value::Boolean(true)]))),
            (json!({"x": {"$in": [1, "a"]}}), in_list(vec![one.clone(), Value::Text("a".into())])),
            (json!({"x": {"$nin": [1]}}), not(in_list(vec![one.clone()]))),
            (json!({"x": {"$lt": 1}}), column(Test::Less(one.clone()))),
            (json!({"x": {"$lte": 1}}), column(Test::AtMost(one.clone()))),
            (json!({"x": {"$gt": 1}}), column(Test::Greater(one.clone()))),
            (json!({"x": {"$gte": 1}}), column(Test::AtLeast(one.clone()))),
            (json!({"x": {"$exists": false}}), in_list(vec![null.clone()])),
            (json!({"x": {"$exists": true}}), not(in_list(vec![null]))),
            (json!({}), Filter::All(Vec::new())),
            (json!({"$not": {"x": 1}}), not(in_list(vec![one.clone()]))),
            (
                json!({"$or": [{"x": 1}, {"x": 1}]}),
                Filter::Any(vec![in_list(vec![one.clone()]), in_list(vec![one.clone()])]),
            ),
            (
                json!({"x": {"$gt": 1, "$lt": 1}}),
                Filter::All(vec![column(Test::Greater(one.clone())), column(Test::Less(one))]),
            ),
        ];
        for (json, filter) in cases {
            assert_eq!(filter_from_json(&json), Ok(filter), "{json}");
        }
    }

    #[test]
    fn an_invalid_filter_is_an_error_with_its_place() {
        let mut deep = json!({"x": 1});
        for _ in 0..20 {
            deep = json!({"$not": deep});
        }
        let many = json!({"$or": (0..1_001).map(|i| json!({"x": i})).collect::<Vec<_>>()});
        let cases = [
            (json!([]), "filter"),
            (json!("x"), "filter"),
            (json!({"$near": 1}), "filter"),
            (json!({"$and": []}), "filter.$and"),
            (json!({"$or": {"x": 1}}), "filter.$or"),
            (json!({"$or": [{"x": 1}, 7]}), "filter.$or[1]"),
            (json!({"$not": 1}), "filter.$not"),
            (json!({"x": {}}), "filter[0]"),
            (json!({"x": {"$near": 1}}), "filter[0]"),
            (json!({"x": [1]}), "filter[0]"),
            (json!({"x": {"$eq": {}}}), "filter[0]"),
            (json!({"x": {"$in": 1}}), "filter[0]"),
            (json!({"x": {"$lt": null}}), "filter[0]"),
            (json!({"x": {"$exists": 1}}), "filter[0]"),
            (deep, "filter.$not"),
            (many, "filter.$or[1000]"),
        ];
        for (json, place) in cases {
            match filter_from_json(&json).unwrap_err() {
                RequestError::BadFilter { path, .. } => assert!(path.starts_with(place), "{path}"),
                other => panic!("{other}"),
            }
        }
    }
}
