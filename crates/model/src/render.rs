//! How a page that needs scripts wants to be rendered: plain words, for a browser to carry out.
//!
//! Owns: the words and their bounds. Must not know: any browser's protocol.

use serde::{Deserialize, Serialize};

/// How pages are fetched.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum FetchMode {
    /// Over HTTP: the page is what the site sends.
    #[default]
    Plain,
    /// By a browser: the page is what its scripts make of it.
    Browser,
    /// Plain first; by a browser where that gives an empty shell.
    Auto,
}

impl FetchMode {
    /// Every mode with its word.
    pub const WORDS: &'static [(&'static str, Self)] =
        &[("plain", Self::Plain), ("browser", Self::Browser), ("auto", Self::Auto)];

    /// The mode of that word.
    pub fn parse(word: &str) -> Option<Self> {
        Self::WORDS.iter().find(|(known, _)| *known == word).map(|(_, mode)| *mode)
    }
}

/// What a browser is asked to do with a page, in this order: wait, act, take a picture, give the page.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Rendering {
    /// Conditions, one after the other. None: the page is loaded, then quiet for a moment.
    pub wait: Vec<Wait>,
    /// Actions, one after the other.
    pub actions: Vec<Action>,
    /// Kinds of subresources that are not loaded. `None`: the operator's setting.
    pub block: Option<Vec<ResourceKind>>,
    /// Responses to scripts whose URL fits this pattern (`*` is any text) are kept.
    pub capture: Option<String>,
    /// A picture of the page is kept.
    pub screenshot: bool,
    /// Milliseconds for the whole page, if fewer than the operator's setting.
    pub timeout_ms: Option<u64>,
}

/// A condition and its patience.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Wait {
    /// What must hold.
    pub until: Until,
    /// Milliseconds at most.
    pub timeout_ms: u64,
}

/// Conditions that can be waited for.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Until {
    /// The document and what it embeds are there.
    Load,
    /// An element is there.
    Selector(String),
    /// Nothing was asked for during so many milliseconds.
    NetworkIdle(u64),
    /// So many milliseconds have passed.
    Time(u64),
}

/// What a visitor would do.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Action {
    /// Clicks an element, once it can be clicked.
    Click {
        /// Which one.
        selector: String,
        /// No failure if it never can be.
        optional: bool,
        /// Clicks at most; more than one: again for as long as it is there.
        times: u32,
        /// Milliseconds to wait for it, each time.
        timeout_ms: u64,
    },
    /// Scrolls to the end, again for as long as the page grows.
    Scroll {
        /// An element that scrolls by itself; the page if none.
        within: Option<String>,
        /// Scrolls at most.
        times: u32,
        /// Milliseconds in all.
        timeout_ms: u64,
    },
    /// Types a text; `{name}` stands for an input.
    Type {
        /// Into which element.
        into: String,
        /// The text.
        text: String,
        /// Milliseconds to wait for the element.
        timeout_ms: u64,
    },
    /// Presses a key.
    Press(Key),
    /// Waits.
    Wait(Wait),
}

/// Keys that can be pressed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[expect(missing_docs, reason = "they are written on the keys")]
pub enum Key {
    Enter,
    Tab,
    Escape,
    Space,
    Backspace,
    PageUp,
    PageDown,
    End,
    Home,
    ArrowLeft,
    ArrowUp,
    ArrowRight,
    ArrowDown,
}

impl Key {
    /// Every key with its word.
    pub const WORDS: &'static [(&'static str, Self)] = &[
        ("Enter", Self::Enter),
        ("Tab", Self::Tab),
        ("Escape", Self::Escape),
        ("Space", Self::Space),
        ("Backspace", Self::Backspace),
        ("PageUp", Self::PageUp),
        ("PageDown", Self::PageDown),
        ("End", Self::End),
        ("Home", Self::Home),
        ("ArrowLeft", Self::ArrowLeft),
        ("ArrowUp", Self::ArrowUp),
        ("ArrowRight", Self::ArrowRight),
        ("ArrowDown", Self::ArrowDown),
    ];
}

/// Kinds of subresources.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[expect(missing_docs, reason = "the words say it")]
pub enum ResourceKind {
    Image,
    Font,
    Media,
    Stylesheet,
}

impl ResourceKind {
    /// Every kind with its word.
    pub const WORDS: &'static [(&'static str, Self)] = &[
        ("image", Self::Image),
        ("font", Self::Font),
        ("media", Self::Media),
        ("stylesheet", Self::Stylesheet),
    ];

    /// The kind of that word.
    pub fn parse(word: &str) -> Option<Self> {
        Self::WORDS.iter().find(|(known, _)| *known == word).map(|(_, kind)| *kind)
    }
}
