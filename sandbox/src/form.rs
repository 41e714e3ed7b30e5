//! A form is Stripe's way to send parameters: url-encoded pairs, with brackets for lists and maps.

use crate::{message::Request, problem::Problem};

#[derive(Debug)]
pub(crate) struct Form {
    fields: Vec<Field>,
}

#[derive(Debug)]
struct Field {
    name: String,
    /// What stands in the brackets, if there are any.
    inner: Option<String>,
    value: String,
}

/// How a parameter may be written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Shape {
    /// `name=value`
    One,
    /// `name=value`, where an empty value takes away what was there
    Free,
    /// `name[]=value` or `name[0]=value`
    List,
    /// `name[key]=value`, where an empty value removes the key
    Map,
    /// `name[key]=value` with one of these keys
    Keys(&'static [&'static str]),
}

impl Form {
    /// The parameters of a request: in the query, and for a POST in the body too.
    pub(crate) fn of(request: &Request) -> Self {
        let mut form = Self::parse(request.query.as_bytes());
        if request.method == "POST" {
            form.fields.extend(Self::parse(&request.body).fields);
        }
        form
    }

    fn parse(encoded: &[u8]) -> Self {
        let fields = form_urlencoded::parse(encoded).map(|(name, value)| field(&name, value.into_owned()));
        Self { fields: fields.collect() }
    }

    /// Adds what a path says.
    pub(crate) fn add(&mut self, name: &str, value: &str) {
        self.fields.push(Field { name: name.to_owned(), inner: None, value: value.to_owned() });
    }

    /// Refuses what the endpoint does not know, and empty values.
    pub(crate) fn check(&self, known: &[(&str, Shape)]) -> Result<(), Problem> {
        for field in &self.fields {
            let shape = known.iter().find(|(name, _)| *name == field.name).map(|(_, shape)| *shape);
            let is_known = match (shape, field.inner.as_deref()) {
                (Some(Shape::One | Shape::Free), None) => true,
                (Some(Shape::List), Some(inner)) => inner.bytes().all(|byte| byte.is_ascii_digit()),
                (Some(Shape::Map), Some(inner)) => !inner.is_empty(),
                (Some(Shape::Keys(keys)), Some(inner)) => keys.contains(&inner),
                (Some(Shape::One | Shape::Free), Some(_))
                | (Some(Shape::List | Shape::Map | Shape::Keys(_)), None)
                | (None, _) => false,
            };
            if !is_known {
                return Err(Problem::unknown(&field.full_name()));
            }
            if field.value.is_empty() && !matches!(shape, Some(Shape::Map | Shape::Free)) {
                return Err(empty(&field.name));
            }
        }
        Ok(())
    }

    /// Whether the name stands there, in whatever way.
    pub(crate) fn has(&self, name: &str) -> bool {
        self.fields.iter().any(|field| field.name == name)
    }

    /// The last value given for a name.
    pub(crate) fn text(&self, name: &str) -> Option<&str> {
        let mut found = self.fields.iter().rev().filter(|field| field.name == name && field.inner.is_none());
        found.next().map(|field| field.value.as_str())
    }

    pub(crate) fn owned(&self, name: &str) -> Option<String> {
        self.text(name).map(str::to_owned)
    }

    pub(crate) fn flag(&self, name: &str) -> Result<bool, Problem> {
        match self.text(name) {
            // Stripe's Python library writes them in its language's way.
            None | Some("false" | "False") => Ok(false),
            Some("true" | "True") => Ok(true),
            Some(other) => Err(Problem::wrong(name, format!("Invalid boolean: {other}"))),
        }
    }

    /// The value must be the only one we speak, or absent.
    pub(crate) fn only(&self, name: &str, allowed: &str) -> Result<(), Problem> {
        match self.text(name) {
            Some(value) if value != allowed => {
                Err(Problem::wrong(name, format!("Invalid {name}: must be {allowed}")))
            }
            Some(_) | None => Ok(()),
        }
    }

    pub(crate) fn integer(&self, name: &str) -> Result<Option<i64>, Problem> {
        self.text(name).map(|value| number(name, value)).transpose()
    }

    /// The values in the brackets of a name, with what stands in them.
    pub(crate) fn inner<'a>(&'a self, name: &'a str) -> impl Iterator<Item = (&'a str, &'a str)> {
        let fields = self.fields.iter().filter(move |field| field.name == name);
        fields.filter_map(|field| field.inner.as_deref().map(|inner| (inner, field.value.as_str())))
    }

    /// One text for all ways to write the same parameters.
    pub(crate) fn canonical(&self) -> String {
        let mut pairs: Vec<String> =
            self.fields.iter().map(|field| format!("{}={:?}", field.full_name(), field.value)).collect();
        pairs.sort();
        pairs.join("&")
    }
}

pub(crate) fn number(name: &str, value: &str) -> Result<i64, Problem> {
    let invalid =
        |_| Problem::parameter("parameter_invalid_integer", name, format!("Invalid integer: {value}"));
    value.parse().map_err(invalid)
}

fn empty(name: &str) -> Problem {
    let message = format!("You passed an empty string for '{name}'.");
    Problem::parameter("parameter_invalid_empty", name, message)
}

fn field(name: &str, value: String) -> Field {
    let split = name.strip_suffix(']').and_then(|open| open.split_once('['));
    match split {
        Some((name, inner)) => Field { name: name.to_owned(), inner: Some(inner.to_owned()), value },
        None => Field { name: name.to_owned(), inner: None, value },
    }
}

impl Field {
    fn full_name(&self) -> String {
        match &self.inner {
            Some(inner) => format!("{}[{inner}]", self.name),
            None => self.name.clone(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn brackets_make_lists_and_maps() {
        let form = Form::parse(b"a=1&types[]=card&types[0]=link&metadata[order]=x%20y&metadata[a]=&a=2");

        assert_eq!(form.text("a"), Some("2"));
        assert_eq!(form.inner("types").collect::<Vec<_>>(), [("", "card"), ("0", "link")]);
        assert_eq!(form.inner("metadata").collect::<Vec<_>>(), [("order", "x y"), ("a", "")]);
    }

    #[test]
    fn a_parameter_of_another_shape_is_unknown() {
        let known =
            [("one", Shape::One), ("list", Shape::List), ("map", Shape::Map), ("by", Shape::Keys(&["gt"]))];

        for good in ["one=1", "list[]=1&list[7]=2", "map[x]=1&map[y]=", "by[gt]=1", ""] {
            assert!(Form::parse(good.as_bytes()).check(&known).is_ok(), "{good}");
        }
        for bad in
            ["two=1", "one[]=1", "one=", "list=1", "list[x]=1", "map=1", "map[]=1", "by=1", "by[lt]=1", "=1"]
        {
            assert!(Form::parse(bad.as_bytes()).check(&known).is_err(), "{bad}");
        }
    }

    #[test]
    fn the_order_of_parameters_does_not_matter_but_their_values_do() {
        let canonical = |text: &str| Form::parse(text.as_bytes()).canonical();

        assert_eq!(canonical("a=1&b=2"), canonical("b=2&a=1"));
        assert_ne!(canonical("a=1&b=2"), canonical("a=2&b=1"));
        assert_ne!(canonical("a=1&b=2"), canonical("a=1%26b%3D2"));
    }
}
