// Cards of figures: a picture, a map laid over it, and what is under the pointer in all of them.
// Python says what is shown; every text is set as text, never as markup.
const SVG = "http://www.w3.org/2000/svg"
const seen = new WeakMap()
// The card that had the focus: a board that is mounted anew, as when the last of its maps has come,
// gives it back unless somebody has gone elsewhere.
let focused = ""

function make(tag, name, text) {
  const found = document.createElement(tag)
  if (name) found.className = name
  if (text !== undefined) found.textContent = text
  return found
}

function numbers(text) {
  if (!text) return null
  return new Float32Array(Uint8Array.from(atob(text), (c) => c.charCodeAt(0)).buffer)
}

// One picture with its map. `watch` is told which patch the pointer is over.
function drawn(data, one, watch) {
  const holder = make("figure")
  const picture = make("div", `pic ${one.mode}`)
  picture.style.aspectRatio = `${one.aspect}`
  const base = make("img", "base")
  base.src = data.pictures[one.base]
  base.alt = one.alt
  picture.append(base)
  const [down, across] = one.covers
  const fill = (element) => {
    element.style.width = `${100 * across}%`
    element.style.height = `${100 * down}%`
  }
  if (one.layer) {
    const layer = make("img", `layer ${one.smooth ? "" : "nearest"}`)
    layer.src = one.layer
    layer.alt = ""
    fill(layer)
    picture.append(layer)
  }
  if (one.outline) {
    const svg = document.createElementNS(SVG, "svg")
    svg.setAttribute("viewBox", `0 0 ${one.cols} ${one.rows}`)
    svg.setAttribute("preserveAspectRatio", "none")
    for (const [width, colour] of [[4, "#000"], [2, "#fff"]]) {
      const path = document.createElementNS(SVG, "path")
      path.setAttribute("d", one.outline)
      path.setAttribute("stroke", colour)
      path.setAttribute("stroke-width", width)
      svg.append(path)
    }
    fill(svg)
    picture.append(svg)
  }
  const mark = make("div", "mark")
  picture.append(mark)
  const words = make("figcaption", "", one.caption)
  const value = make("span", "value", "")
  picture.append(value)
  holder.append(picture, words)
  const values = numbers(one.values)
  const { rows, cols } = one
  if (rows) {
    picture.onpointermove = (event) => {
      const box = picture.getBoundingClientRect()
      const r = Math.floor(((event.clientY - box.top) / box.height / down) * rows)
      const c = Math.floor(((event.clientX - box.left) / box.width / across) * cols)
      watch(one.sync, r >= 0 && c >= 0 && r < rows && c < cols ? [r, c] : null)
    }
    picture.onpointerleave = () => watch(one.sync, null)
  }
  const point = (cell) => {
    mark.style.display = cell ? "block" : "none"
    value.style.display = cell ? "block" : "none"
    if (!cell) return
    mark.style.left = `${(100 * across * cell[1]) / cols}%`
    mark.style.top = `${(100 * down * cell[0]) / rows}%`
    mark.style.width = `${(100 * across) / cols}%`
    mark.style.height = `${(100 * down) / rows}%`
    if (values) {
      const number = values[cell[0] * cols + cell[1]] * one.factor
      value.textContent = `${Number(number.toPrecision(3))} ${one.unit}`
    } else value.textContent = `row ${cell[0]}, column ${cell[1]}`
  }
  return { holder, picture, point, sync: one.sync }
}

function enlarge(root, data, one) {
  const dialog = make("dialog")
  dialog.style.setProperty("--aspect", one.aspect)
  const whole = drawn(data, one, (_, cell) => whole.point(cell))
  whole.picture.onclick = () => dialog.close()
  dialog.append(whole.holder)
  dialog.onclose = () => dialog.remove()
  dialog.onclick = (event) => event.target === dialog && dialog.close()
  root.append(dialog)
  dialog.showModal()
}

function bars(card) {
  const list = make("div", "bars")
  for (const bar of card.bars) {
    const item = make("div")
    const line = make("div", "line")
    const label = make("span", "", `${bar.label} `)
    label.title = bar.label
    label.append(make("span", "quiet", bar.role))
    line.append(label, make("span", "", bar.text))
    item.append(line)
    if (bar.share !== null) {
      const track = make("div", "bar")
      const filled = make("i", bar.kind)
      filled.style.width = `${Math.max(0.4, 100 * bar.share)}%`
      track.append(filled)
      if (bar.threshold !== null) {
        const at = make("b")
        at.style.left = `${100 * bar.threshold}%`
        at.title = "threshold"
        track.append(at)
      }
      item.append(track)
    }
    list.append(item)
  }
  return list
}

function tags(card) {
  const list = make("div", "tags")
  for (const tag of card.tags) list.append(make("span", "tag", tag))
  return list
}

function figures(root, data, card, open) {
  const all = []
  const watch = (sync, cell) => all.forEach((f) => f.point(f.sync === sync ? cell : null))
  const put = (one) => {
    const figure = drawn(data, one, watch)
    all.push(figure)
    if (!open) {
      figure.picture.onclick = () => enlarge(root, data, one)
      figure.picture.tabIndex = 0
      figure.picture.setAttribute("role", "button")
      figure.picture.setAttribute("aria-label", `Enlarge: ${one.alt}`)
      figure.picture.onkeydown = (e) => {
        if (e.key === "Enter" || e.key === " ") { e.preventDefault(); enlarge(root, data, one) }
      }
    }
    return figure.holder
  }
  // An opened image has its picture apart from the maps, which are larger.
  const apart = data.density === "case" ? card.figures.slice(0, 1).map(put) : []
  const rest = card.figures.slice(apart.length).map(put)
  const maps = make("div", "maps")
  maps.style.setProperty("--count", rest.length)
  maps.append(...rest)
  const pairs = make("div", "pairs")
  for (const pair of card.pairs) {
    const block = make("div", "pair")
    block.style.setProperty("--n", Math.max(1, pair.figures.length))
    block.append(...pair.figures.map(put), make("p", pair.far ? "far" : "quiet", pair.words))
    pairs.append(block)
  }
  return [maps, pairs, apart]
}

function cardOf(root, data, card, trigger) {
  const element = make("article", "card")
  element.dataset.name = card.name
  const open = data.opens ? () => trigger("open", card.name) : null
  const [maps, pairs, apart] = figures(root, data, card, open)
  const head = make("div", "head")
  // Names of a set differ at their ends: what does not fit is left out of the middle.
  const name = make("span", "name")
  name.title = card.name
  const cut = Math.max(0, card.name.length - 12)
  name.append(make("span", "", card.name.slice(0, cut)), make("span", "", card.name.slice(cut)))
  if (card.word) head.append(make("span", `word ${card.outcome}`, card.word))
  head.append(name)
  if (data.density === "grid") {
    const line = make("div", "line1")
    const said = make("span", "", card.said)
    said.title = card.said
    line.append(said, make("span", "", card.confidence))
    element.append(maps, line, head, tags(card))
  } else if (data.density === "cards") {
    const verdict = make("div", "verdict")
    verdict.append(head, bars(card), tags(card))
    head.classList.add("spread")
    const button = make("button", "open", "Open")
    button.type = "button"
    button.tabIndex = -1
    button.setAttribute("aria-label", `Open ${card.name}`)
    head.append(button)
    for (const text of card.lines) verdict.append(make("div", "quiet", text))
    element.append(verdict, maps, pairs)
  } else {
    const aside = make("div", "aside")
    aside.append(...apart, bars(card))
    element.append(aside, maps, pairs)
  }
  if (card.problem) element.append(make("p", "problem quiet", card.problem))
  if (open) {
    element.tabIndex = 0
    element.onfocus = () => { focused = card.name }
    element.onblur = (event) => { if (event.relatedTarget) focused = "" }
    element.setAttribute("role", "group")
    element.setAttribute("aria-label", `${card.name}: ${card.said}`)
    element.onclick = (event) => window.getSelection()?.isCollapsed !== false && open(event)
    element.onkeydown = (event) => {
      if (event.target !== element) return
      const cards = [...root.querySelectorAll(".card")]
      const at = cards.indexOf(element)
      const next = { ArrowRight: 1, ArrowDown: 1, ArrowLeft: -1, ArrowUp: -1 }[event.key]
      if (event.key === "Enter") open()
      else if (next && cards[at + next]) cards[at + next].focus()
      else return
      event.preventDefault()
      event.stopPropagation()
    }
  }
  return element
}

export default function (component) {
  const { data, parentElement, setTriggerValue } = component
  const root = parentElement.querySelector(".board")
  const before = seen.get(root)
  if (before) before.trigger = setTriggerValue
  if (before?.version === data.version) return
  // A card that says the same stays as it is: somebody may be about to click in it.
  const same = before?.density === data.density && before.opens === data.opens
  const kept = same ? before.drawn : new Map()
  const drawn = new Map()
  // A card that stays tells the run that is current now, not the one that drew it.
  const trigger = (...said) => seen.get(root).trigger(...said)
  const draw = (card) => {
    const said = JSON.stringify(card)
    const old = kept.get(card.name)
    const element = old?.said === said ? old.element : cardOf(root, data, card, trigger)
    drawn.set(card.name, { said, element })
    return element
  }
  root.className = `board ${data.density}`
  for (const [name, value] of Object.entries(data.css)) root.style.setProperty(name, value)
  const list = root.querySelector(".cards")
  const held = root.getRootNode().activeElement?.dataset?.name
  const elements = data.cards.map(draw)
  // Only what differs is moved: moving a card would end a press that has begun in it.
  elements.forEach((element, i) => {
    if (list.children[i] !== element) list.insertBefore(element, list.children[i] ?? null)
  })
  while (list.children.length > elements.length) list.lastChild.remove()
  const { version, density, opens } = data
  seen.set(root, { version, density, opens, drawn, trigger: setTriggerValue })
  const lost = document.activeElement === document.body ? focused : ""
  const wanted = before === undefined && data.focus && !lost ? data.focus : held || lost
  const back = [...list.children].find((card) => card.dataset.name === wanted)
  if (back && data.opens) {
    back.focus({ preventScroll: true })
    if (wanted === data.focus) back.scrollIntoView({ block: "center" })
  }
}
