// A service worker that does nothing: can one be registered?
addEventListener('fetch', () => {});
