//! The replicated log below the Knowledge Base.
