//! What walls say, in the languages of the web; and the addresses where they stand.
//!
//! Owns: the phrases, lower case, as [`plain`] makes them: letters, digits and single spaces.

use regex::bytes::Regex;
use std::sync::LazyLock;
use url::Url;

/// A page without any of these is no wall: one pass over the bytes, so that most pages are not parsed for it.
const SUSPICIOUS: &str = "(?i-u)captcha|challenge|denied|forbidden|blocked|robot check|a robot|are human|a human|_cf_chl|incapsula|\
    interruption|rejected|unusual traffic|permission to|password|consent|cookie|datenschutz|privacy|akzeptier|vie priv|weiterlesen|sign.?in|log.?in|anmelden|404|\\b410\\b|not found|not \
    exist|n.t exist|no longer|unavailable|n.t available|not available|page gone|introuvable|nicht gefunden|encontrad|trovata|\
    gevonden|hittades|fundet|ikke|nie znaleziono|nenalezena|bulunamad|can.t (?:be )?f|couldn.t f|nothing (?:was )?found|missing|\
    \u{43d}\u{435} \u{43d}\u{430}\u{439}\u{434}\u{435}\u{43d}|\u{5b58}\u{5728}|\u{627e}\u{4e0d}|\u{898b}\u{3064}\u{304b}|rate limit|too \
    many|unauthorized|restricted|just a moment|one more step|verif|kpsdk|rbzns|bm-verify|gokuprops|sucuri|mod_security|squid|\
    security check";

/// Might it be one?
pub(super) fn is_suspicious(body: &[u8]) -> bool {
    static WORDS: LazyLock<Option<Regex>> = LazyLock::new(|| Regex::new(SUSPICIOUS).ok());
    // An expression that does not compile would only cost the parse; a test looks at it.
    WORDS.as_ref().is_none_or(|words| words.is_match(body))
}

/// Titles and headings of block pages.
pub(super) const DENIED: &[&str] = &[
    "access denied",
    "access forbidden",
    "access restricted",
    "access to this page has been denied",
    "access to this website is blocked",
    "blocked",
    "forbidden",
    "http forbidden",
    "ip blocked",
    "not acceptable",
    "permission denied",
    "request blocked",
    "request denied",
    "request rejected",
    "sorry you have been blocked",
    "the request is blocked",
    "the request could not be satisfied",
    "this request has been blocked",
    "too many requests",
    "rate limit exceeded",
    "unauthorized",
    "you are blocked",
    "you have been blocked",
    "your access has been blocked",
    "your ip has been blocked",
    "zugriff verweigert",
    "acc\u{e8}s refus\u{e9}",
    "acceso denegado",
    "accesso negato",
    "acesso negado",
    "toegang geweigerd",
    "\u{434}\u{43e}\u{441}\u{442}\u{443}\u{43f} \u{437}\u{430}\u{43f}\u{440}\u{435}\u{449}\u{435}\u{43d}",
    "\u{8bbf}\u{95ee}\u{88ab}\u{62d2}\u{7edd}",
];

/// Titles and headings of tests for humans.
pub(super) const CHALLENGE: &[&str] = &[
    "are you a human",
    "are you a robot",
    "are you human",
    "attention required",
    "bot check",
    "bot verification",
    "captcha",
    "checking your browser",
    "checking your browser before accessing",
    "confirm you are human",
    "ddos protection",
    "human verification",
    "just a moment",
    "making sure you re not a bot",
    "one more step",
    "pardon our interruption",
    "please prove you are human",
    "please verify you are a human",
    "please verify you are human",
    "robot check",
    "security check",
    "security checkpoint",
    "security verification",
    "vercel security checkpoint",
    "verification required",
    "verify you are human",
    "verifying you are human",
    "we need to verify that you are human",
    "sicherheitsabfrage",
    "sicherheits\u{fc}berpr\u{fc}fung",
    "v\u{e9}rification de s\u{e9}curit\u{e9}",
];

/// Sentences of block pages; enough where nearly nothing else is shown.
pub(super) const DENYING: &[&str] = &[
    "access denied",
    "access to this page has been denied",
    "automated access",
    "automated requests",
    "been blocked",
    "checking your browser",
    "enable javascript and cookies to continue",
    "prove you are human",
    "request unsuccessful",
    "the requested url was rejected",
    "unusual activity from your",
    "unusual traffic",
    "verify that you are a human",
    "verify that you are human",
    "verify you are a human",
    "verify you are human",
    "verify you are not a robot",
    "you are not a robot",
];

/// Elements and scripts of captchas that any site may use.
pub(super) const WIDGETS: &[&str] = &[
    "g-recaptcha",
    "h-captcha",
    "cf-turnstile",
    "hcaptcha.com/1/api.js",
    "captcha-image",
    "id=\"captcha",
    "frc-captcha",
    "geetest",
];

/// Words beside a captcha that stands in the way, and not in a form of contact.
pub(super) const HUMAN: &[&str] = &[
    "robot",
    "human",
    "unusual",
    "automated",
    "captcha to continue",
    "security check",
    "bot",
    "mensch",
    "humain",
    "humano",
];

/// Titles and headings of pages that are not there.
pub(super) const GONE: &[&str] = &[
    "not found",
    "page not found",
    "file not found",
    "document not found",
    "item not found",
    "product not found",
    "job not found",
    "article not found",
    "listing not found",
    "content not found",
    "page cannot be found",
    "page can t be found",
    "page could not be found",
    "page does not exist",
    "page doesn t exist",
    "page gone",
    "page is missing",
    "page missing",
    "page no longer exists",
    "page not available",
    "page unavailable",
    "page is not available",
    "page isn t available",
    "nothing found",
    "nothing was found",
    "this page isn t available",
    "this page is not available",
    "this page does not exist",
    "this page doesn t exist",
    "this page could not be found",
    "this page can t be found",
    "this page is no longer available",
    "this content isn t available",
    "this item is no longer available",
    "this product is no longer available",
    "this job is no longer available",
    "this listing is no longer available",
    "this job has expired",
    "we can t find that page",
    "we couldn t find that page",
    "we can t find the page you re looking for",
    "we couldn t find the page you were looking for",
    "the page you requested could not be found",
    "the page you requested cannot be found",
    "the page you are looking for could not be found",
    "the page you are looking for does not exist",
    "the page you are looking for doesn t exist",
    "the page you were looking for doesn t exist",
    "the page cannot be found",
    "seite nicht gefunden",
    "nicht gefunden",
    "die seite wurde nicht gefunden",
    "page introuvable",
    "page non trouv\u{e9}e",
    "p\u{e1}gina no encontrada",
    "p\u{e1}gina n\u{e3}o encontrada",
    "pagina non trovata",
    "pagina niet gevonden",
    "sidan hittades inte",
    "sidan kunde inte hittas",
    "siden blev ikke fundet",
    "siden finnes ikke",
    "sivua ei l\u{f6}ytynyt",
    "strona nie zosta\u{142}a znaleziona",
    "nie znaleziono strony",
    "str\u{e1}nka nenalezena",
    "oldal nem tal\u{e1}lhat\u{f3}",
    "sayfa bulunamad\u{131}",
    "\u{441}\u{442}\u{440}\u{430}\u{43d}\u{438}\u{446}\u{430} \u{43d}\u{435} \u{43d}\u{430}\u{439}\u{434}\u{435}\u{43d}\u{430}",
    "\u{30da}\u{30fc}\u{30b8}\u{304c}\u{898b}\u{3064}\u{304b}\u{308a}\u{307e}\u{305b}\u{3093}",
    "\u{9875}\u{9762}\u{4e0d}\u{5b58}\u{5728}",
    "\u{627e}\u{4e0d}\u{5230}\u{9875}\u{9762}",
];

/// Words of such titles that say nothing of their own: "Oops! Error 404: page not found".
pub(super) const FILLING: &[&str] = &[
    "404", "410", "error", "errors", "fehler", "erreur", "fout", "errore", "http", "status", "code", "oops",
    "ooops", "whoops", "uh", "oh", "sorry", "403", "401", "429", "the", "a", "leider", "ups",
];

/// Beginnings of titles and headings of login pages.
pub(super) const LOGIN: &[&str] = &[
    "log in",
    "login",
    "log on",
    "logon",
    "sign in",
    "signin",
    "member login",
    "members only",
    "members area",
    "customer login",
    "please log in",
    "please login",
    "please sign in",
    "you must log in",
    "you must be logged in",
    "you need to log in",
    "you need to sign in",
    "authentication required",
    "login required",
    "create an account or log in",
    "join to view",
    "sign up to see",
    "anmelden",
    "anmeldung",
    "einloggen",
    "bitte melden sie sich an",
    "connexion",
    "se connecter",
    "connectez vous",
    "iniciar sesi\u{f3}n",
    "inicia sesi\u{f3}n",
    "iniciar sess\u{e3}o",
    "accedi",
    "inloggen",
    "logga in",
    "logg inn",
    "log ind",
    "kirjaudu",
    "zaloguj",
    "p\u{159}ihl\u{e1}\u{161}en\u{ed}",
    "\u{432}\u{445}\u{43e}\u{434}",
    "\u{432}\u{43e}\u{439}\u{442}\u{438}",
    "\u{30ed}\u{30b0}\u{30a4}\u{30f3}",
    "\u{767b}\u{5f55}",
];

/// Beginnings of titles and headings of consent walls.
pub(super) const CONSENT: &[&str] = &[
    "before you continue",
    "bevor sie fortfahren",
    "avant d acc\u{e9}der",
    "avant de continuer",
    "antes de continuar",
    "prima di continuare",
    "voordat je verdergaat",
    "innan du forts\u{e4}tter",
    "privacy gate",
    "cookie wall",
    "cookiewall",
    "cookie consent",
    "consent required",
    "we value your privacy",
    "we care about your privacy",
    "your privacy choices",
    "your privacy matters",
    "your privacy is important",
    "manage your privacy",
    "privacy settings",
    "wir sch\u{e4}tzen ihre privatsph\u{e4}re",
    "ihre privatsph\u{e4}re ist uns wichtig",
    "mit werbung weiterlesen",
    "weiter mit werbung",
    "cookie einstellungen",
    "nous respectons votre vie priv\u{e9}e",
    "votre vie priv\u{e9}e",
    "tu privacidad",
    "su privacidad",
    "uw privacy",
    "je privacy",
    "wij gebruiken cookies",
    "we gebruiken cookies",
    "la tua privacy",
    "accept cookies",
    "cookies on",
];

/// What is pressed there.
pub(super) const AGREE: &[&str] = &[
    "accept",
    "agree",
    "consent",
    "akzeptieren",
    "zustimmen",
    "einverstanden",
    "accepter",
    "j accepte",
    "aceptar",
    "aceitar",
    "accetta",
    "accetto",
    "akkoord",
    "accepteren",
    "godk\u{e4}nn",
    "acceptera",
    "godta",
    "accepter alle",
    "zgadzam",
    "akceptuj",
];

/// Letters, digits and single spaces.
pub(super) fn plain(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for c in text.chars() {
        if c.is_alphanumeric() {
            out.extend(c.to_lowercase());
        } else if !out.is_empty() && !out.ends_with(' ') {
            out.push(' ');
        }
    }
    out.truncate(out.trim_end().len());
    out
}

/// Does the path or its last part say that one logs in there?
pub(super) fn is_login_address(url: &Url) -> bool {
    const PARTS: &[&str] = &[
        "login",
        "log-in",
        "log_in",
        "signin",
        "sign-in",
        "sign_in",
        "logon",
        "authwall",
        "auth",
        "checkpoint",
        "sso",
        "connexion",
        "anmelden",
        "inloggen",
        "accountlogin",
        "login.aspx",
        "login.php",
        "login.html",
        "login.jsp",
        "signin.html",
        "wp-login.php",
    ];
    let host = url.host_str().unwrap_or_default();
    let of_host =
        ["login.", "signin.", "accounts.", "auth.", "sso.", "idp."].iter().any(|p| host.starts_with(p));
    of_host || parts(url).any(|part| PARTS.contains(&part.as_str()))
}

/// Does the address say that consent is asked for there?
pub(super) fn is_consent_address(url: &Url) -> bool {
    const PARTS: &[&str] = &[
        "consent",
        "collectconsent",
        "cookie-consent",
        "cookieconsent",
        "privacygate",
        "privacy-gate",
        "privacy-wall",
        "cookiewall",
        "cookie-wall",
        "consent-wall",
        "privacy-manager",
    ];
    let host = url.host_str().unwrap_or_default();
    let of_host = ["consent.", "guce.", "myprivacy.", "cmp-consent."].iter().any(|p| host.starts_with(p));
    of_host || parts(url).any(|part| PARTS.contains(&part.as_str()))
}

fn parts(url: &Url) -> impl Iterator<Item = String> {
    url.path_segments().into_iter().flatten().map(str::to_ascii_lowercase)
}
