//! The books of every organization that there is work for: read when first needed, and again when the definitions change.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, PoisonError},
};

use crate::{
    domain::id::{OrgId, TemplateId},
    secret::Secrets,
    store::{Store, StoreError, access::TokenKind},
    template::Template,
};

use super::{Book, Unusable, compile_template};

/// More books than this are not kept: an organization beyond them is read again when its turn comes.
const KEPT: usize = 2_000;

/// The books. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Books {
    store: Store,
    secrets: Secrets,
    kept: Arc<Mutex<HashMap<OrgId, Arc<Book>>>>,
}

impl Books {
    /// With nothing read yet.
    pub fn new(store: Store, secrets: Secrets) -> Self {
        Self { store, secrets, kept: Arc::default() }
    }

    /// What follows references to secrets, and seals new ones.
    pub const fn secrets(&self) -> &Secrets {
        &self.secrets
    }

    /// The book of an organization as it is now; `None` if there is no such organization.
    pub async fn current(&self, org: &OrgId) -> Result<Option<Arc<Book>>, StoreError> {
        let Some((organization, revision)) = self.store.organization(org).await? else {
            return Ok(None);
        };
        if let Some(book) = self.look_up(org, revision) {
            return Ok(Some(book));
        }
        let definitions = self.store.definitions(org).await?;
        let callbacks = self.store.tokens(org, TokenKind::Account).await?;
        let book = Arc::new(Book::compile(organization, revision, &definitions, callbacks, &self.secrets));
        let mut kept = self.kept.lock().unwrap_or_else(PoisonError::into_inner);
        if kept.len() >= KEPT {
            kept.clear();
        }
        kept.insert(org.clone(), book.clone());
        Ok(Some(book))
    }

    /// The book of a revision that the caller has just seen: read again only if the one that is kept is another.
    pub async fn at(&self, org: &OrgId, revision: i64) -> Result<Option<Arc<Book>>, StoreError> {
        match self.look_up(org, revision) {
            Some(book) => Ok(Some(book)),
            None => self.current(org).await,
        }
    }

    fn look_up(&self, org: &OrgId, revision: i64) -> Option<Arc<Book>> {
        let kept = self.kept.lock().unwrap_or_else(PoisonError::into_inner);
        kept.get(org).filter(|book| book.revision == revision).cloned()
    }

    /// A version of a template that a run keeps.
    pub async fn template(
        &self,
        book: &Book,
        template: TemplateId,
        version: i64,
    ) -> Result<Result<Arc<Template>, Unusable>, StoreError> {
        if let Some(known) = book.known_version(template, version) {
            return Ok(Ok(known));
        }
        let org = &book.organization.id;
        let Some(source) = self.store.template_version(org, template, version).await? else {
            return Ok(Err(Unusable(format!("version {version} of template {template} is not in the store"))));
        };
        let compiled = compile_template(&source);
        if let Ok(template_version) = &compiled {
            book.keep_version(template, version, template_version);
        }
        Ok(compiled)
    }
}
