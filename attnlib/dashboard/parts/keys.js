// Keys of the whole page while an image is open, and the top of the page in view when it changes.
// Whoever types, moves a slider or points at patches keeps the arrows.
const TAKEN = "input, textarea, select, canvas, [contenteditable], [role=slider], [role=radio], " +
  "[role=tab], [role=option], [role=listbox], [role=grid], [role=combobox], dialog"

let shown = null
// The one that listens now: every run of the page calls this anew, and ends only the last call when
// the page is left. One that stayed would answer first, for a page that is gone.
let listening = null

export default function (component) {
  const { data, setTriggerValue } = component
  if (shown !== data.name) {
    document.querySelector("[data-testid=stMain]")?.scrollTo(0, 0)
    shown = data.name
  }
  const press = (event) => {
    if (event.altKey || event.ctrlKey || event.metaKey || event.shiftKey) return
    if (event.defaultPrevented) return
    const key = { ArrowLeft: "previous", ArrowRight: "next", Escape: "back" }[event.key]
    if (!key) return
    const from = event.composedPath()[0]
    if (from instanceof Element && from.closest(TAKEN)) return
    if (document.querySelector("[role=dialog], [data-baseweb=popover]")) return
    event.preventDefault()
    setTriggerValue("go", key)
  }
  window.removeEventListener("keydown", listening)
  window.addEventListener("keydown", press)
  listening = press
  return () => {
    window.removeEventListener("keydown", press)
    shown = null
  }
}
