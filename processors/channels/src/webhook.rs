//! The channel `webhook`: a POST for each message.

use std::collections::BTreeMap;
use std::path::PathBuf;

use async_trait::async_trait;
use schemars::JsonSchema;
use serde::Deserialize;
use veracity_http::header::CONTENT_TYPE;
use veracity_http::{
    Endpoint, HeaderMap, HeaderName, HeaderValue, Hints, Options, Request, secret_value, within,
};
use veracity_processor::{
    Channel, ConfigError, FieldError, Outcome, Parcel, Plugin, ProcessContext, ProcessorError,
    Publisher, Secret, StartContext, Timestamp, register,
};

use crate::envelope::Envelope;

register!(
    Plugin::channel::<Webhook>("webhook", env!("CARGO_PKG_VERSION"))
        .description("Posts each message to a URL as JSON")
        .author("the veracity authors")
        .example("ops: {use: webhook, url: \"https://hooks.example.org/dq\"}")
);

/// The header that stays the same when a message is posted again.
const IDEMPOTENCY_KEY: HeaderName = HeaderName::from_static("idempotency-key");

/// Headers that the request itself needs, or that would change how it is read.
const RESERVED: &[&str] = &[
    "connection",
    "content-encoding",
    "content-length",
    "expect",
    "host",
    "idempotency-key",
    "keep-alive",
    "proxy-authorization",
    "proxy-connection",
    "te",
    "trailer",
    "transfer-encoding",
    "upgrade",
];

const HINTS: Hints = Hints {
    denied: Some("the credentials in `url` or `headers` may be wrong"),
    not_found: Some("`url` may be wrong"),
    too_large: Some("publish a smaller message"),
};

/// Settings of the channel `webhook`.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct WebhookSettings {
    /// Where messages go: `http://` or `https://`. It is kept secret, because such URLs
    /// often hold tokens.
    pub url: Secret,
    /// Further headers, by name. Their values are kept secret.
    #[serde(default)]
    pub headers: BTreeMap<String, Secret>,
    /// Whether the message alone is posted, as it is, instead of the object that holds it.
    #[serde(default)]
    pub raw: bool,
    /// Whether `url` may lead to an address that is not public: loopback, private,
    /// link-local and the like.
    #[serde(default)]
    pub allow_private: bool,
    /// File with certificates (PEM) of authorities that are trusted beside those of the
    /// system.
    #[serde(default)]
    #[schemars(extend("format" = "path"))]
    pub tls_ca_file: Option<PathBuf>,
}

/// Posts messages to a URL.
#[derive(Debug)]
pub struct Webhook {
    endpoint: Endpoint,
    /// The values are sensitive, which `Debug` minds.
    headers: HeaderMap,
    raw: bool,
}

impl Publisher for Webhook {
    type Config = WebhookSettings;

    fn build(settings: WebhookSettings) -> Result<Self, ConfigError> {
        let mut faults = Vec::new();
        let options = Options {
            allow_private: settings.allow_private,
            ca_file: settings.tls_ca_file,
            secrets: settings.headers.values().cloned().collect(),
            hints: HINTS,
            ..Options::default()
        };
        let endpoint = Endpoint::new(&settings.url, options);
        let endpoint = endpoint.map_err(|fault| faults.push(fault)).ok();
        let mut headers = HeaderMap::new();
        for (name, value) in &settings.headers {
            match header(name, value) {
                Ok((name, value)) => drop(headers.append(name, value)),
                Err(message) => {
                    let name = name.replace('~', "~0").replace('/', "~1");
                    faults.push(FieldError::new(format!("/headers/{name}"), message));
                }
            }
        }
        let (Some(endpoint), true) = (endpoint, faults.is_empty()) else {
            return Err(ConfigError(faults));
        };
        Ok(Self {
            endpoint,
            headers,
            raw: settings.raw,
        })
    }
}

fn header(name: &str, value: &Secret) -> Result<(HeaderName, HeaderValue), &'static str> {
    let name = HeaderName::from_bytes(name.as_bytes()).map_err(|_| "is no name of a header")?;
    if RESERVED.contains(&name.as_str()) {
        return Err("is set by veracity");
    }
    let value = secret_value(value.expose());
    let value = value.ok_or("its value must be printable ASCII on one line")?;
    Ok((name, value))
}

#[async_trait]
impl Channel for Webhook {
    async fn startup(&self, _context: &StartContext) -> Result<(), ProcessorError> {
        self.endpoint.prepare()
    }

    async fn publish(
        &self,
        parcel: &Parcel,
        context: &ProcessContext,
    ) -> Result<Outcome, ProcessorError> {
        let posted = within(context, self.post(parcel, context)).await;
        posted.map_err(|error| self.endpoint.named(error))
    }
}

impl Webhook {
    async fn post(
        &self,
        parcel: &Parcel,
        context: &ProcessContext,
    ) -> Result<Outcome, ProcessorError> {
        let mut request = if self.raw {
            Request::post_json(&parcel.message)?
        } else {
            Request::post_json(&Envelope::new(parcel, context, Timestamp::now()))?
        };
        let content_type = request.headers.remove(CONTENT_TYPE);
        request.headers.extend(self.headers.clone());
        if let Some(content_type) = content_type {
            request.headers.entry(CONTENT_TYPE).or_insert(content_type);
        }
        let key = HeaderValue::from_str(&context.idempotency_key).map_err(|_| {
            ProcessorError::permanent("the idempotency key cannot be sent as a header")
        })?;
        let answer = self
            .endpoint
            .send(request.header(IDEMPOTENCY_KEY, key))
            .await?;
        match answer.fault(&self.endpoint) {
            Some(fault) => Err(fault),
            None => Ok(Outcome::done()),
        }
    }
}
