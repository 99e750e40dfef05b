//! Fetch, read and publish: the only home of libgit2, for leads and agents alike.
