//! What an SMTP server offers in its answer to EHLO.

use lettre::transport::smtp::authentication::Mechanism;

use crate::reply::Reply;

/// What a server says that it can do.
#[derive(Debug, Default)]
pub(crate) struct Offers {
    pub(crate) starttls: bool,
    /// Those that we can do, the better first.
    pub(crate) mechanisms: Vec<Mechanism>,
    /// The largest message in bytes; `None` if it does not say.
    pub(crate) size: Option<u64>,
    /// Whether it wants to be told the size of a message.
    pub(crate) knows_size: bool,
}

impl Offers {
    /// What `reply` to EHLO says. Lettre's reading knows no SIZE and only upper case.
    pub(crate) fn of(reply: &Reply) -> Self {
        let mut offers = Offers::default();
        for line in reply.response.message().skip(1) {
            let line = line.to_ascii_uppercase();
            let mut words = line.split_whitespace();
            match words.next() {
                Some("STARTTLS") => offers.starttls = true,
                Some("SIZE") => {
                    offers.knows_size = true;
                    let size = words.next().and_then(|size| size.parse().ok());
                    // 0 stands for no limit.
                    offers.size = size.filter(|size| *size > 0);
                }
                Some("AUTH") => {
                    let words: Vec<&str> = words.collect();
                    for (word, mechanism) in
                        [("PLAIN", Mechanism::Plain), ("LOGIN", Mechanism::Login)]
                    {
                        if words.contains(&word) {
                            offers.mechanisms.push(mechanism);
                        }
                    }
                }
                _ => {}
            }
        }
        offers
    }
}
