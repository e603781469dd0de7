// A section with its heading. On a narrow screen one that folds is closed until its heading is pressed.
const NARROW = window.matchMedia("(max-width: 900px)");

export default {
  props: { heading: String, folds: Boolean },
  template: `
    <section>
      <h2>
        <button v-if="folds && narrow" type="button" class="fold" :aria-expanded="open" @click="open = !open">{{ open ? "▾" : "▸" }} {{ heading }}</button>
        <template v-else>{{ heading }}</template>
      </h2>
      <div v-show="!folds || !narrow || open"><slot></slot></div>
    </section>`,
  data() {
    return { open: false, narrow: NARROW.matches };
  },
  mounted() {
    NARROW.addEventListener("change", () => (this.narrow = NARROW.matches));
  },
};
