//! Credentials out of what others say: a server may repeat what it was sent.

use super::Fault;
use serde_json::{Map, Value};

/// What is shown in place of a credential.
const BLOT: &str = "***";
/// Shorter words are no secrets, and blotting them would eat the sentence.
const CHARS_MIN: usize = 4;
/// Characters of an error: a sentence, not a page.
const ERROR_CHARS: usize = 400;

/// The words of one set of credentials, in the forms in which they can come back.
pub(super) struct Blot(Vec<String>);

impl Blot {
    /// Every value, as it is and as it stands in a URL. Whole lines of a key count each for itself.
    pub(super) fn of(words: &Map<String, Value>) -> Self {
        let mut forms: Vec<String> = Vec::new();
        for value in words.values().filter_map(Value::as_str) {
            let pieces = value.lines().chain(value.split(['&', '?']).filter_map(|pair| {
                // The signature of a token that is itself a query.
                pair.split_once('=').map(|(_, signature)| signature)
            }));
            for piece in std::iter::once(value).chain(pieces) {
                let piece = piece.trim();
                if piece.chars().count() < CHARS_MIN {
                    continue;
                }
                let encoded: String = url::form_urlencoded::byte_serialize(piece.as_bytes()).collect();
                forms.push(encoded);
                forms.push(piece.to_owned());
            }
        }
        // The longest first, so that no rest of one is left by a shorter one in it.
        forms.sort_by_key(|form| std::cmp::Reverse(form.len()));
        forms.dedup();
        Self(forms)
    }

    fn text(&self, text: &str) -> String {
        self.0.iter().fold(text.to_owned(), |text, form| text.replace(form.as_str(), BLOT))
    }

    /// The fault without credentials, on one line of bounded length.
    pub(super) fn fault(&self, fault: Fault) -> Fault {
        let text = self.text(&fault.error);
        let line = text.split_whitespace().collect::<Vec<_>>().join(" ");
        Fault { error: line.chars().take(ERROR_CHARS).collect(), again: fault.again }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn credentials_are_blotted_in_every_form() {
        let words = json!({
            "password": "p@ss/word", "sas_token": "?sv=2020&sig=ab%2Fcd%3D", "n": "ab",
            "private_key": "-----BEGIN-----\nMIIEv\nxyzxyz\n-----END-----\n",
        });
        let blot = Blot::of(words.as_object().unwrap());
        let said = "login p@ss/word at h?x=p%40ss%2Fword&sig=ab%2Fcd%3D of ab\n\n line xyzxyz";
        let fault = blot.fault(Fault::later(said));
        assert_eq!(fault.error, "login *** at h?x=***&sig=*** of ab line ***");
        assert!(fault.again);
        assert_eq!(blot.fault(Fault::never("x".repeat(5_000))).error.len(), ERROR_CHARS);
    }
}
