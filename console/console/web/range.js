// How far back the charts look; kept in this browser. Tells the server.
export default {
  props: { choices: Array },
  emits: ["range"],
  template: `
    <div class="ranges" role="group" aria-label="How far back the charts look">
      <button v-for="one in choices" :key="one" type="button" class="plain" :aria-pressed="one == choice" @click="choose(one)">{{ one }}</button>
    </div>`,
  data() {
    return { choice: this.choices.includes(localStorage.range) ? localStorage.range : this.choices[0] };
  },
  mounted() {
    this.$emit("range", this.choice);
  },
  methods: {
    choose(one) {
      this.choice = localStorage.range = one;
      this.$emit("range", one);
    },
  },
};
