// A button that puts this page's address on the clipboard, and says so.
export default function (component) {
  const { data, parentElement } = component
  const button = parentElement.querySelector("button")
  button.textContent = data.label
  button.title = data.help
  button.onclick = async () => {
    const text = window.location.href
    try {
      await navigator.clipboard.writeText(text)
      button.textContent = "Copied"
    } catch {
      // Only pages on this machine or behind TLS may write there.
      window.prompt("Copy this:", text)
    }
    setTimeout(() => { button.textContent = data.label }, 1500)
  }
}
