//! A document as a tree.

use std::collections::BTreeMap;

use quick_xml::Reader;
use quick_xml::events::{BytesStart, Event};

/// An element.
#[derive(Debug, Default)]
pub struct Element {
    pub name: String,
    pub attributes: BTreeMap<String, String>,
    pub children: Vec<Element>,
    pub text: String,
}

impl Element {
    /// The root of `document`, which must be well-formed.
    pub fn read(document: &str) -> Result<Element, String> {
        let mut reader = Reader::from_str(document);
        let mut open = vec![Element::default()];
        loop {
            let event = reader.read_event().map_err(|error| error.to_string())?;
            match event {
                Event::Start(start) => open.push(Element::of(&start)?),
                Event::Empty(start) => {
                    let element = Element::of(&start)?;
                    open.last_mut().unwrap().children.push(element);
                }
                Event::End(_) => {
                    let element = open.pop().unwrap();
                    open.last_mut().unwrap().children.push(element);
                }
                Event::Text(text) => {
                    open.last_mut().unwrap().text.push_str(&text);
                }
                Event::GeneralRef(name) => {
                    let name: &str = &name;
                    let text = quick_xml::escape::unescape(&format!("&{name};"))
                        .map_err(|error| error.to_string())?
                        .into_owned();
                    open.last_mut().unwrap().text.push_str(&text);
                }
                Event::Decl(_) if open.len() == 1 => {}
                Event::Eof => break,
                event => return Err(format!("{event:?} is no part of JUnit")),
            }
        }
        let mut root = open.pop().unwrap();
        match (open.len(), root.children.len()) {
            (0, 1) => Ok(root.children.remove(0)),
            _ => Err("there is not one root".to_owned()),
        }
    }

    fn of(start: &BytesStart<'_>) -> Result<Element, String> {
        let mut element = Element {
            name: start.name().as_ref().to_owned(),
            ..Element::default()
        };
        for attribute in start.attributes() {
            let attribute = attribute.map_err(|error| error.to_string())?;
            let name = attribute.key.as_ref().to_owned();
            let value =
                quick_xml::escape::unescape(&attribute.value).map_err(|error| error.to_string())?;
            element.attributes.insert(name, value.into_owned());
        }
        Ok(element)
    }

    /// The value of an attribute; empty if there is none.
    pub fn get(&self, attribute: &str) -> &str {
        self.attributes.get(attribute).map_or("", String::as_str)
    }

    /// Its children called `name`.
    pub fn all<'e>(&'e self, name: &'e str) -> impl Iterator<Item = &'e Element> {
        self.children.iter().filter(move |child| child.name == name)
    }
}
