//! What the readers of a kind of thing (an article, a product, a recipe, a listing) say, as values of a source.

use super::convert::to_json;
use super::parts::Reader;
use crate::spec::{ArticleProperty, ListingProperty, ProductProperty, RecipeProperty};
use crate::{limit, listing, pagination, product};
use serde_json::Value;

impl Reader<'_> {
    pub(crate) fn recipe_says(&self, property: RecipeProperty) -> Option<Value> {
        let recipe = self.recipe();
        match property {
            RecipeProperty::Ingredients => self.list(&recipe.ingredients),
            RecipeProperty::Instructions => self.list(&recipe.instructions),
            RecipeProperty::Yields => recipe.yields.clone().map(Value::String),
            RecipeProperty::PrepMinutes => recipe.prep_minutes.map(Value::from),
            RecipeProperty::CookMinutes => recipe.cook_minutes.map(Value::from),
            RecipeProperty::TotalMinutes => recipe.total_minutes.map(Value::from),
        }
    }

    pub(crate) fn product_says(&self, property: ProductProperty) -> Option<Value> {
        let text = |text: Option<String>| text.map(Value::String);
        let product = self.product();
        match property {
            ProductProperty::Price => product.price().and_then(|p| to_json(p.amount)),
            ProductProperty::Currency => text(product.price().and_then(|p| p.currency).map(str::to_owned)),
            ProductProperty::Sku => text(product.sku()),
            ProductProperty::NumberInUrl => {
                let page = || product::number_in(&self.parts.page.url);
                let canonical = self.canonical().and_then(|url| product::number_in(&url.parse().ok()?));
                text(canonical.or_else(page))
            }
            ProductProperty::Mpn => text(product.mpn()),
            ProductProperty::Gtin => text(product.gtin()),
            ProductProperty::Brand => text(product.brand()),
            ProductProperty::Availability => text(product.availability().map(str::to_owned)),
        }
    }

    pub(crate) fn article_says(&self, property: ArticleProperty) -> Option<Value> {
        let article = self.article();
        match property {
            ArticleProperty::Title => article.title.clone().map(Value::String),
            ArticleProperty::Authors => self.list(&article.authors),
            ArticleProperty::Published => {
                article.published.as_ref().map(|m| Value::String(m.datetime_text()))
            }
            ArticleProperty::Topics => self.list(&article.topics),
            ArticleProperty::CoverImage => article.cover_image.as_ref().map(|u| Value::String(u.to_string())),
            ArticleProperty::Body => (!article.body.is_empty() && self.spend(article.body.len()))
                .then(|| Value::String(article.body.clone())),
        }
    }

    /// Addresses that a listing leads to.
    pub(crate) fn listed(&self, property: ListingProperty, many: bool) -> Vec<Value> {
        let most = if many { limit::FOLLOWS_PER_PAGE } else { 1 };
        let urls = match property {
            ListingProperty::Links => listing::listing(self.doc(), &self.parts.page.url, self.base()),
            ListingProperty::Next => {
                pagination::pagination(self.doc(), &self.parts.page.url).next.into_iter().collect()
            }
        };
        urls.into_iter().take(most).map(|url| Value::String(url.into())).collect()
    }

    /// Where the site's own search answers the input of this name.
    pub(crate) fn search(&self, input: &str) -> Option<Value> {
        let keyword = self.parts.input(input)?.as_str()?;
        listing::search(&self.said(), self.base(), keyword).map(|url| Value::String(url.into()))
    }

    /// A list, within the page's budget of text; `None` if it is empty.
    fn list(&self, texts: &[String]) -> Option<Value> {
        let bytes = texts.iter().map(String::len).sum();
        (!texts.is_empty() && self.spend(bytes)).then(|| texts.iter().cloned().map(Value::String).collect())
    }
}
