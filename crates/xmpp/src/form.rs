//! Data forms (XEP-0004, XEP-0068).

use std::borrow::Cow;

use crate::{Element, ns};

/// A form that was received.
#[derive(Clone, Copy, Debug)]
pub struct Form<'a>(&'a Element);

impl<'a> Form<'a> {
    /// Finds the form of this `FORM_TYPE` among an element's children.
    #[must_use]
    pub fn of(parent: &'a Element, form_type: &str) -> Option<Self> {
        let mut forms = parent.children().filter(|child| child.is(ns::DATA, "x")).map(Self);
        forms.find(|form| form.value("FORM_TYPE").as_deref() == Some(form_type))
    }

    /// The first value of a field; `None` where it is missing or empty.
    #[must_use]
    pub fn value(&self, var: &str) -> Option<Cow<'a, str>> {
        self.values(var)?.next().filter(|value| !value.is_empty())
    }

    /// All values of a field, which may be none; `None` where it is missing.
    pub fn values(&self, var: &str) -> Option<impl Iterator<Item = Cow<'a, str>> + use<'a>> {
        let field = self.0.children().find(|field| field.is(ns::DATA, "field") && field.attr("var") == Some(var))?;
        Some(field.children().filter(|child| child.is(ns::DATA, "value")).map(Element::text))
    }
}

/// Fills in a form with single values.
#[must_use]
pub fn submit(form_type: &str, fields: &[(&str, &str)]) -> Element {
    let field = |var: &str, value: &str| {
        let value = Element::new(ns::DATA, "value").with_text(value);
        Element::new(ns::DATA, "field").with_attr("var", var).with_child(value)
    };
    let form = Element::new(ns::DATA, "x").with_attr("type", "submit").with_child(field("FORM_TYPE", form_type));
    fields.iter().fold(form, |form, (var, value)| form.with_child(field(var, value)))
}
