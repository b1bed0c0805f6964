// What a dot looks like, and what its colour and shape mean.
const bytes = (text) => Uint8Array.from(atob(text), (c) => c.charCodeAt(0)).buffer

// A disc (0), a cross (1) or a ring (2) around the origin; disc and cross have an outline, so that
// every colour is seen on every background.
function mark(pen, shape, r, fill, outline) {
  pen.beginPath()
  if (shape === 1) {
    const d = r * 0.95
    pen.moveTo(-d, -d); pen.lineTo(d, d); pen.moveTo(d, -d); pen.lineTo(-d, d)
    pen.lineCap = "round"
    pen.lineWidth = r * 0.85; pen.strokeStyle = outline; pen.stroke()
    pen.lineWidth = r * 0.6; pen.strokeStyle = fill; pen.stroke()
    return
  }
  pen.arc(0, 0, shape === 2 ? r * 0.8 : r, 0, 2 * Math.PI)
  if (shape === 2) {
    pen.lineWidth = r * 0.5; pen.strokeStyle = fill; pen.stroke()
    return
  }
  pen.fillStyle = fill
  pen.fill()
  pen.lineWidth = Math.max(0.5, r / 8)
  pen.globalAlpha = 0.5
  pen.strokeStyle = outline
  pen.stroke()
  pen.globalAlpha = 1
}

function glyph(shape, fill, outline) {
  const made = document.createElement("canvas")
  const scale = window.devicePixelRatio || 1
  made.width = made.height = 16 * scale
  made.style.width = made.style.height = "16px"
  const pen = made.getContext("2d")
  pen.scale(scale, scale)
  pen.translate(8, 8)
  mark(pen, shape, 5.5, fill, outline)
  return made
}

function element(kind, words, ...before) {
  const made = document.createElement(kind)
  if (before.length) made.className = "entry"
  const text = document.createElement("span")
  text.textContent = words
  made.append(...before, text)
  return made
}

// The legend: a bar for numbers; for categories a button each, which makes the others faint.
function explain(place, data, codes, shapes, only, choose, colour, text) {
  place.replaceChildren(element("b", data.title))
  const counts = new Map()
  for (const code of codes) counts.set(code, (counts.get(code) || 0) + 1)
  if (data.ends) {
    const bar = document.createElement("div")
    bar.className = "bar"
    const last = data.palette.length - 1
    const stops = data.palette.slice(0, last).filter((_, i) => i % 16 === 0 || i === last - 1)
    bar.style.background = `linear-gradient(to right, ${stops.map((e) => e.colour).join()})`
    place.append(element("span", data.ends[0]), bar, element("span", data.ends[1]))
    const none = counts.get(last)
    if (none) place.append(element("span", `none (${none})`, glyph(0, colour(last), text)))
  } else {
    data.palette.forEach((entry, code) => {
      if (!counts.has(code)) return
      const words = `${entry.name} (${counts.get(code)})`
      const button = element("button", words, glyph(entry.shape, colour(code), text))
      button.type = "button"
      button.title = "Only these stand out; again for all"
      button.setAttribute("aria-pressed", only === code)
      button.onclick = () => choose(code)
      place.append(button)
    })
  }
  data.kinds.forEach((kind, shape) => {
    if (kind && shapes.includes(shape)) place.append(element("span", kind, glyph(shape, text, text)))
  })
}

