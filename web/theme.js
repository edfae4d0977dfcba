// Light, dark, or as the system has it. A classic script in the head, so that the first paint has the right colours.
(() => {
  const order = ['auto', 'light', 'dark']
  const names = { auto: 'as the system', light: 'light', dark: 'dark' }
  let theme = 'auto'
  try {
    theme = JSON.parse(localStorage.getItem('reprise:theme') ?? '"auto"')
  } catch {
    // Storage is forbidden: the system decides.
  }
  const apply = () => {
    if (order.includes(theme) && theme !== 'auto') document.documentElement.dataset.theme = theme
    else delete document.documentElement.dataset.theme
  }
  apply()
  addEventListener('DOMContentLoaded', () => {
    const button = document.getElementById('theme-button')
    if (!button) return
    const label = () => button.setAttribute('aria-label', `Colours: ${names[theme] ?? names.auto}`)
    label()
    button.addEventListener('click', () => {
      theme = order[(order.indexOf(theme) + 1) % order.length]
      apply()
      label()
      try {
        localStorage.setItem('reprise:theme', JSON.stringify(theme))
      } catch {
        // It holds until the page is closed.
      }
    })
  })
})()
