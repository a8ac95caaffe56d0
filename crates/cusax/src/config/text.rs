//! Values that are written as text and are valid once they exist.

use std::fmt;

/// Why a text is no such value, and what to write instead.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Bad {
    problem: String,
    advice: String,
}

impl Bad {
    /// Says what is wrong and what to write instead.
    pub(crate) fn new(problem: impl Into<String>, advice: impl Into<String>) -> Self {
        Self { problem: problem.into(), advice: advice.into() }
    }

    /// The problem and the advice.
    pub(crate) fn into_parts(self) -> (String, String) {
        (self.problem, self.advice)
    }
}

/// The problem on the first line, the advice on the second: the only way through serde, which carries one text.
impl fmt::Display for Bad {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}\n{}", self.problem, self.advice)
    }
}

/// Gives a type with `FromStr<Err = Bad>` and `Display` its place in a TOML file and in the schema.
macro_rules! text_value {
    ($name:ident, $what:literal, $example:literal) => {
        impl<'de> serde::Deserialize<'de> for $name {
            fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                struct Text;
                impl serde::de::Visitor<'_> for Text {
                    type Value = $name;

                    fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                        f.write_str(concat!($what, " such as \"", $example, "\""))
                    }

                    fn visit_str<E: serde::de::Error>(self, text: &str) -> Result<$name, E> {
                        text.parse().map_err(E::custom)
                    }
                }
                deserializer.deserialize_str(Text)
            }
        }

        impl serde::Serialize for $name {
            fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                serializer.collect_str(self)
            }
        }

        impl schemars::JsonSchema for $name {
            fn inline_schema() -> bool {
                true
            }

            fn schema_name() -> std::borrow::Cow<'static, str> {
                stringify!($name).into()
            }

            fn json_schema(_: &mut schemars::SchemaGenerator) -> schemars::Schema {
                schemars::json_schema!({ "type": "string", "title": $what, "examples": [$example] })
            }
        }
    };
}

pub(crate) use text_value;
