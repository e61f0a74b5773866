"""How the desk asks models: typed questions and answers, budgets, skills, leak control. Adapters stand in `resources/llm`."""
