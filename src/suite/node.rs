//! The serde deserializer of one node of a suite file.
//!
//! It is led by what a place wants: any scalar can be text, only some can be numbers.

use serde::de::value::StrDeserializer;
use serde::de::{
    DeserializeSeed, EnumAccess, IntoDeserializer, MapAccess, SeqAccess, VariantAccess, Visitor,
};

use super::reading::{Fault, Notes, address};
use super::yaml::{Content, Meaning, Node, Scalar};
use crate::error::listed;

/// An enum of this name has the variants `Text`, for scalars, and `Keys`.
pub(super) const TEXT_OR_KEYS: &str = "$text or keys";

/// A newtype of this name is given the place of its value: five elements, namely
/// line, column, line and column of its first character (0 if unknown), the value.
pub(super) const AT: &str = "$at";

/// The deserializer of one node.
#[derive(Clone, Copy)]
pub(super) struct At<'n> {
    /// The node.
    pub node: &'n Node,
    /// What is noted down about it.
    pub notes: &'n Notes<'n>,
}

impl<'n> At<'n> {
    /// Gives a fault this place, unless it has one from further inside.
    fn place<T>(self, result: Result<T, Fault>) -> Result<T, Fault> {
        result.map_err(|mut fault| {
            if fault.node.is_none() {
                fault.node = Some(address(self.node));
                fault.location = Some(self.node.place.location(self.notes.file));
                fault.follows = fault.missing_key.is_some_and(|key| self.has_lost(key));
            }
            fault
        })
    }

    fn has_lost(self, wanted: &str) -> bool {
        let Content::Map(entries) = &self.node.content else {
            return false;
        };
        entries
            .iter()
            .any(|(key, value)| text(key) == wanted && self.notes.leaves_out(value))
    }

    fn expected(self, what: &str) -> Fault {
        Fault::new(format!(
            "expected {what}, found {}",
            described(&self.node.content)
        ))
    }

    /// The scalar, if it is one and says anything.
    fn scalar(self, what: &str) -> Result<&'n Scalar, Fault> {
        match &self.node.content {
            Content::Scalar(scalar) if scalar.meaning != Meaning::Null => Ok(scalar),
            _ => Err(self.expected(what)),
        }
    }

    /// Advice for a number or boolean that is quoted.
    fn unquote(self, mut fault: Fault) -> Fault {
        if let Content::Scalar(Scalar {
            text,
            meaning: Meaning::Quoted,
        }) = &self.node.content
            && !matches!(Meaning::of(text), Meaning::Text | Meaning::Null)
        {
            fault.help = Some("remove the quotes".to_owned());
        } else if let Content::Scalar(Scalar { text, .. }) = &self.node.content
            && text.ends_with('%')
        {
            fault.help = Some("a share is a number from 0 to 1, such as `0.99`".to_owned());
        }
        fault
    }

    fn integer<'de, V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Fault> {
        let result = match self.scalar("a whole number from 0 on")?.meaning {
            Meaning::Whole(number) => visitor.visit_u64(number),
            _ => Err(self.unquote(self.expected("a whole number from 0 on"))),
        };
        self.place(result)
    }

    fn number<'de, V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Fault> {
        let result = self
            .scalar("a number")
            .and_then(|scalar| match scalar.meaning {
                Meaning::Whole(number) => visitor.visit_u64(number),
                Meaning::Negative(number) => visitor.visit_i64(number),
                Meaning::Float(number) => visitor.visit_f64(number),
                _ => Err(self.unquote(self.expected("a number"))),
            });
        self.place(result)
    }

    fn list<'de, V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Fault> {
        let result = match &self.node.content {
            Content::List(items) => visitor.visit_seq(Items {
                parent: self,
                rest: items.iter(),
            }),
            _ => {
                let mut fault = self.expected("a list");
                let help = "a list is written `[a, b]`, or as lines that begin with `- `";
                fault.help = Some(help.to_owned());
                Err(fault)
            }
        };
        self.place(result)
    }

    fn keys<'de, V: Visitor<'de>>(
        self,
        known: Option<&'static [&'static str]>,
        visitor: V,
    ) -> Result<V::Value, Fault> {
        let result = match &self.node.content {
            Content::Map(entries) => visitor.visit_map(Entries {
                parent: self,
                known,
                rest: entries.iter(),
                value: None,
            }),
            _ => Err(match known {
                None | Some([]) => self.expected("a mapping"),
                Some(known) => {
                    let names = listed(known.iter().copied());
                    self.expected(&format!("a mapping with the keys {names}"))
                }
            }),
        };
        self.place(result)
    }
}

/// The text of a key.
fn text(key: &Node) -> &str {
    match &key.content {
        Content::Scalar(scalar) => &scalar.text,
        _ => "",
    }
}

fn described(content: &Content) -> String {
    match content {
        Content::List(_) => "a list".to_owned(),
        Content::Map(_) => "a mapping".to_owned(),
        Content::Scalar(scalar) if scalar.meaning == Meaning::Null => "nothing".to_owned(),
        Content::Scalar(scalar) => {
            let short: String = scalar.text.chars().take(60).collect();
            let dots = if short.len() < scalar.text.len() {
                ".."
            } else {
                ""
            };
            let kind = if scalar.meaning == Meaning::Quoted {
                "the text "
            } else {
                ""
            };
            format!("{kind}`{}{dots}`", short.replace('\n', " "))
        }
    }
}

impl<'de, 'n> serde::Deserializer<'de> for At<'n> {
    type Error = Fault;

    fn deserialize_any<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Fault> {
        let result = match &self.node.content {
            Content::List(_) => return self.list(visitor),
            Content::Map(_) => return self.keys(None, visitor),
            Content::Scalar(scalar) => match scalar.meaning {
                Meaning::Null => visitor.visit_unit(),
                Meaning::Bool(value) => visitor.visit_bool(value),
                Meaning::Negative(value) => visitor.visit_i64(value),
                Meaning::Whole(value) => visitor.visit_u64(value),
                Meaning::Float(value) => visitor.visit_f64(value),
                Meaning::Text | Meaning::Quoted => visitor.visit_str(&scalar.text),
            },
        };
        self.place(result)
    }

    fn deserialize_bool<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Fault> {
        let result = match &self.node.content {
            Content::Scalar(Scalar {
                meaning: Meaning::Bool(value),
                ..
            }) => visitor.visit_bool(*value),
            _ => Err(self.unquote(self.expected("`true` or `false`"))),
        };
        self.place(result)
    }

    fn deserialize_u8<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Fault> {
        self.integer(visitor)
    }

    fn deserialize_u16<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Fault> {
        self.integer(visitor)
    }

    fn deserialize_u32<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Fault> {
        self.integer(visitor)
    }

    fn deserialize_u64<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Fault> {
        self.integer(visitor)
    }

    fn deserialize_f32<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Fault> {
        self.number(visitor)
    }

    fn deserialize_f64<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Fault> {
        self.number(visitor)
    }

    fn deserialize_char<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Fault> {
        let result = self.scalar("one character").and_then(|scalar| {
            let mut characters = scalar.text.chars();
            match (characters.next(), characters.next()) {
                (Some(character), None) => visitor.visit_char(character),
                _ => Err(self.expected("one character")),
            }
        });
        self.place(result)
    }

    fn deserialize_str<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Fault> {
        let result = self
            .scalar("text")
            .and_then(|scalar| visitor.visit_str(&scalar.text));
        self.place(result)
    }

    fn deserialize_string<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Fault> {
        self.deserialize_str(visitor)
    }

    fn deserialize_option<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Fault> {
        match &self.node.content {
            Content::Scalar(Scalar {
                meaning: Meaning::Null,
                ..
            }) => visitor.visit_none(),
            _ => visitor.visit_some(self),
        }
    }

    fn deserialize_newtype_struct<V: Visitor<'de>>(
        self,
        _: &'static str,
        visitor: V,
    ) -> Result<V::Value, Fault> {
        visitor.visit_newtype_struct(self)
    }

    fn deserialize_seq<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Fault> {
        self.list(visitor)
    }

    fn deserialize_tuple_struct<V: Visitor<'de>>(
        self,
        name: &'static str,
        _: usize,
        visitor: V,
    ) -> Result<V::Value, Fault> {
        if name != AT {
            return self.list(visitor);
        }
        let place = self.node.place;
        let (start_line, start_column) = place.start.unwrap_or_default();
        let numbers = [place.line, place.column, start_line, start_column];
        let result = visitor.visit_seq(Placed {
            numbers: numbers.into_iter(),
            value: Some(self),
        });
        self.place(result)
    }

    fn deserialize_map<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Fault> {
        self.keys(None, visitor)
    }

    fn deserialize_struct<V: Visitor<'de>>(
        self,
        _: &'static str,
        fields: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, Fault> {
        self.keys(Some(fields), visitor)
    }

    fn deserialize_enum<V: Visitor<'de>>(
        self,
        name: &'static str,
        variants: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, Fault> {
        let result = if name == TEXT_OR_KEYS {
            match &self.node.content {
                Content::Map(_) => visitor.visit_enum(Variant {
                    name: "Keys",
                    value: self,
                }),
                Content::Scalar(scalar) if scalar.meaning != Meaning::Null => {
                    visitor.visit_enum(Variant {
                        name: "Text",
                        value: self,
                    })
                }
                _ => Err(self.expected("text or a mapping")),
            }
        } else {
            let names = listed(variants.iter().copied());
            self.scalar(&format!("one of {names}")).and_then(|scalar| {
                visitor.visit_enum(Variant {
                    name: &scalar.text,
                    value: self,
                })
            })
        };
        self.place(result)
    }

    serde::forward_to_deserialize_any! {
        i8 i16 i32 i64 i128 u128 bytes byte_buf unit unit_struct tuple identifier ignored_any
    }
}

/// The elements of a list, without those that are left out.
struct Items<'n> {
    parent: At<'n>,
    rest: std::slice::Iter<'n, Node>,
}

impl<'de> SeqAccess<'de> for Items<'_> {
    type Error = Fault;

    fn next_element_seed<S: DeserializeSeed<'de>>(
        &mut self,
        seed: S,
    ) -> Result<Option<S::Value>, Fault> {
        let At { notes, .. } = self.parent;
        let next = self.rest.find(|node| !self.parent.notes.leaves_out(node));
        next.map(|node| seed.deserialize(At { node, notes }))
            .transpose()
    }
}

/// The entries of a mapping, without those that are unknown or left out.
struct Entries<'n> {
    parent: At<'n>,
    known: Option<&'static [&'static str]>,
    rest: std::slice::Iter<'n, (Node, Node)>,
    value: Option<&'n Node>,
}

impl<'de> MapAccess<'de> for Entries<'_> {
    type Error = Fault;

    fn next_key_seed<S: DeserializeSeed<'de>>(
        &mut self,
        seed: S,
    ) -> Result<Option<S::Value>, Fault> {
        let At { notes, .. } = self.parent;
        for (key, value) in self.rest.by_ref() {
            if self.parent.notes.leaves_out(value) {
                continue;
            }
            let name = text(key);
            if let Some(known) = self.known {
                if !known.contains(&name) {
                    notes.unknown_key(key, name, known);
                    continue;
                }
                self.value = Some(value);
                return seed.deserialize(name.into_deserializer()).map(Some);
            }
            self.value = Some(value);
            return seed.deserialize(At { node: key, notes }).map(Some);
        }
        Ok(None)
    }

    fn next_value_seed<S: DeserializeSeed<'de>>(&mut self, seed: S) -> Result<S::Value, Fault> {
        let At { notes, .. } = self.parent;
        match self.value.take() {
            Some(node) => seed.deserialize(At { node, notes }),
            None => Err(Fault::new("a value was asked for before its key")),
        }
    }
}

/// The numbers of a place, then the value that stands there.
struct Placed<'n> {
    numbers: std::array::IntoIter<u32, 4>,
    value: Option<At<'n>>,
}

impl<'de> SeqAccess<'de> for Placed<'_> {
    type Error = Fault;

    fn next_element_seed<S: DeserializeSeed<'de>>(
        &mut self,
        seed: S,
    ) -> Result<Option<S::Value>, Fault> {
        if let Some(number) = self.numbers.next() {
            return seed.deserialize(number.into_deserializer()).map(Some);
        }
        self.value.take().map(|at| seed.deserialize(at)).transpose()
    }
}

/// The variant `name`, with a value where the variant has one.
struct Variant<'n> {
    name: &'n str,
    value: At<'n>,
}

impl<'de, 'n> EnumAccess<'de> for Variant<'n> {
    type Error = Fault;
    type Variant = At<'n>;

    fn variant_seed<S: DeserializeSeed<'de>>(self, seed: S) -> Result<(S::Value, At<'n>), Fault> {
        let name: StrDeserializer<'_, Fault> = self.name.into_deserializer();
        Ok((seed.deserialize(name)?, self.value))
    }
}

impl<'de> VariantAccess<'de> for At<'_> {
    type Error = Fault;

    fn unit_variant(self) -> Result<(), Fault> {
        Ok(())
    }

    fn newtype_variant_seed<S: DeserializeSeed<'de>>(self, seed: S) -> Result<S::Value, Fault> {
        seed.deserialize(self)
    }

    fn tuple_variant<V: Visitor<'de>>(self, _: usize, visitor: V) -> Result<V::Value, Fault> {
        self.list(visitor)
    }

    fn struct_variant<V: Visitor<'de>>(
        self,
        fields: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, Fault> {
        self.keys(Some(fields), visitor)
    }
}
