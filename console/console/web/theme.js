// Dark, light, or as the system has it; kept in this browser. Tells the server which of both it is, for the charts.
const CHOICES = ["auto", "dark", "light"];
const SYSTEM = window.matchMedia("(prefers-color-scheme: dark)");

export default {
  emits: ["dark"],
  template: `<button type="button" class="plain" @click="next">Theme: {{ choice == "auto" ? "system" : choice }}</button>`,
  data() {
    return { choice: CHOICES.includes(localStorage.theme) ? localStorage.theme : "auto" };
  },
  mounted() {
    this.apply();
    SYSTEM.addEventListener("change", this.apply);
  },
  methods: {
    next() {
      this.choice = CHOICES[(CHOICES.indexOf(this.choice) + 1) % CHOICES.length];
      localStorage.theme = this.choice;
      this.apply();
    },
    apply() {
      setDark(this.choice == "auto" ? null : this.choice == "dark");
      this.$emit("dark", document.body.classList.contains("body--dark"));
    },
  },
};
