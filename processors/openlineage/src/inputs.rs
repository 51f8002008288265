//! The datasets of a run.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::facets::Facet;
use crate::metrics::DataQualityMetrics;
use crate::results::Assertion;
use crate::settings::{Dataset, Settings};

/// What a dataset is called by everybody.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Identity {
    /// Where it lives.
    pub namespace: String,
    /// Its name there.
    pub name: String,
}

/// A dataset that was read.
#[derive(Debug, Clone, Serialize)]
pub struct Input {
    /// What it is called.
    #[serde(flatten)]
    pub identity: Identity,
    /// What was found in it.
    #[serde(rename = "inputFacets", skip_serializing_if = "InputFacets::is_empty")]
    pub facets: InputFacets,
}

/// What was found in a dataset.
#[derive(Debug, Clone, Default, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct InputFacets {
    /// Numbers of it and its columns.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub data_quality_metrics: Option<Facet<DataQualityMetrics>>,
    /// What was asserted about it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub data_quality_assertions: Option<Facet<Assertions>>,
}

impl InputFacets {
    fn is_empty(&self) -> bool {
        self.data_quality_metrics.is_none() && self.data_quality_assertions.is_none()
    }
}

/// What was asserted about a dataset.
#[derive(Debug, Clone, Serialize)]
pub struct Assertions {
    /// One by one.
    pub assertions: Vec<Assertion>,
}

/// What the datasets of suites are called elsewhere.
#[derive(Debug, Clone, Default)]
pub struct Names {
    known: BTreeMap<String, Dataset>,
    namespace: String,
}

impl Names {
    /// As `settings` say.
    pub fn new(settings: &Settings) -> Self {
        Self {
            known: settings.dataset_names.clone(),
            namespace: settings.dataset_namespace.clone(),
        }
    }

    /// What the dataset called `name` in the suite is called.
    pub fn identity(&self, name: &str) -> Identity {
        match self.known.get(name) {
            Some(known) => Identity {
                namespace: known.namespace.clone(),
                name: known.name.clone(),
            },
            None => Identity {
                namespace: self.namespace.clone(),
                name: name.to_owned(),
            },
        }
    }
}

/// The inputs of a run, each once, and where to find them by their name in the suite.
#[derive(Debug, Default)]
pub struct Inputs {
    /// In the order in which they were added.
    pub list: Vec<Input>,
    places: BTreeMap<String, usize>,
}

impl Inputs {
    /// The place in the list of the dataset called `name` in the suite, which is added if
    /// need be. Two names of one dataset have one place.
    pub fn place(&mut self, name: &str, names: &Names) -> usize {
        if let Some(place) = self.places.get(name) {
            return *place;
        }
        let identity = names.identity(name);
        let found = self
            .list
            .iter()
            .position(|input| input.identity == identity);
        let place = found.unwrap_or_else(|| {
            self.list.push(Input {
                identity,
                facets: InputFacets::default(),
            });
            self.list.len() - 1
        });
        self.places.insert(name.to_owned(), place);
        place
    }
}
