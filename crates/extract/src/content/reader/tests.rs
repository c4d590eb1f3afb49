//! Small pages with what a reading view shows of them, and hostile ones.

use super::*;
use html::Document;

/// The texts that are shown, joined by bars.
fn shown(page: &str) -> String {
    let doc = Document::parse(page);
    let root = doc.root().descendants().find(|n| n.name() == "body").unwrap();
    let len = root.descendants().count() + 1;
    let reading = read(root, len, true);
    let texts = root.descendants().filter(|n| reading.shown[n.id() - root.id()]).filter_map(Node::text_node);
    texts.map(str::trim).filter(|t| !t.is_empty()).collect::<Vec<_>>().join("|")
}

fn prose(n: usize) -> String {
    format!(
        "<p>Paragraph {n} has many words, some commas, and more than enough to say about things, so that it counts.</p>"
    )
}

fn many() -> String {
    (0..8).map(prose).collect()
}

#[test]
fn the_article_is_shown_and_what_is_around_it_is_not() {
    let text = shown(
        &format!(
            "<div class=menu><a href=/>Home</a></div><div class=story><h1>The day</h1>{}<div class=related><a href=/x>Other</a></div>
            <ul><li>One point<li>Another</ul></div><div class=footer>About us, and more</div>",
            many()
        ),
    );
    assert!(text.starts_with("The day|Paragraph 0"), "{text}");
    assert!(text.ends_with("One point|Another"), "{text}");
}

#[test]
fn line_breaks_part_paragraphs() {
    let line = "Words upon words, as many as a paragraph has, and then a few more, said calmly.";
    let lines = [line; 10].join("<br><br>");
    let text = shown(&format!("<div><div><a href=/>a</a> <a href=/>b</a></div><div>{lines}</div></div>"));
    assert_eq!(text.matches(line).count(), 10, "{text}");
}

#[test]
fn tables_of_data_stay_and_links_to_other_stories_go() {
    let links: String = (0..6).map(|n| format!("<p><a href=/{n}>Some other story {n}</a></p>")).collect();
    let text = shown(&format!(
        "<article>{}<div>{links}</div><table><thead><tr><th>a<th>b<tbody><tr><td>1<td>2</table></article>",
        many()
    ));
    assert!(!text.contains("other story"), "{text}");
    assert!(text.ends_with("a|b|1|2"), "{text}");
}

#[test]
fn a_picture_for_readers_without_scripts_takes_the_place_of_its_stand_in() {
    let page =
        format!("<article>{}<p><img src=x.gif><noscript><img src=real.jpg></noscript></p></article>", many());
    let doc = Document::parse(&page);
    let root = doc.root().descendants().find(|n| n.name() == "body").unwrap();
    let reading = read(root, root.descendants().count() + 1, false);
    let shown: Vec<_> = root
        .descendants()
        .filter(|n| n.name() == "img" && reading.shown[n.id() - root.id()])
        .filter_map(|n| n.attr("src"))
        .collect();
    assert_eq!(shown, ["real.jpg"]);
    let page = format!(
        "<article>{}<figure><div><div class=x>\n<img src=small.jpg>\n</div><img class=y><noscript><img src=real.jpg></noscript>\n</div></figure>{}</article>",
        many(),
        many(),
    );
    let doc = Document::parse(&page);
    let made = crate::main_content(&doc).markdown(&url::Url::parse("https://a.example/").unwrap());
    assert_eq!(made.matches("![](https://a.example/real.jpg)").count(), 1, "{made}");
    assert!(!made.contains("small"), "{made}");
}

#[test]
fn hostile_pages_are_read_in_time() {
    let deep = "<div><span>".repeat(5_000) + "text, and text";
    let wide = format!("<div>{}</div>", "<br>".repeat(60_000));
    let tables = "<table><tr><td>x<td>".repeat(400) + &"<td>1".repeat(20_000);
    let empty = "<section>".repeat(400) + &"<i></i>".repeat(30_000);
    let names = format!("<p class='{}'>{}", "x-ad".repeat(100_000), "word, ".repeat(100_000));
    for page in [deep, wide, tables, empty, names, String::new()] {
        let doc = Document::parse(&page);
        let root = doc.root();
        let reading = read(root, root.descendants().count() + 1, false);
        assert_eq!(reading.shown.len(), reading.inside.len());
    }
}
