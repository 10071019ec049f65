# The reseller's pages.


ops-filter = Filtr
ops-filter-actions = Działania
ops-filter-all-organizations = Wszystkie organizacje
ops-filter-apply = Pokaż
ops-filter-clear = Wyczyść filtr
ops-page-first = Pierwsza strona
ops-more = { $n ->
    [one] i jeszcze { $shown }
    [few] i jeszcze { $shown }
    [many] i jeszcze { $shown }
   *[other] i jeszcze { $shown }
}
ops-yes = tak
ops-no = nie

fleet-active = Organizacje ze zużyciem
fleet-of-organizations = { $n ->
    [one] z { $shown } organizacji
    [few] z { $shown } organizacji
    [many] z { $shown } organizacji
   *[other] z { $shown } organizacji
}
fleet-per-organization = { $value } na organizację ze zużyciem
fleet-raw-note = opłaty OpenRouter
fleet-margin = Narzut
fleet-margin-of = Narzut { $value } kosztu zakupu
fleet-captured = Zarejestrowane wobec naliczonych
fleet-captured-of = zarejestrowano { $captured }, OpenRouter naliczył { $billed }
fleet-captured-unread = W tych dniach nie odczytano żadnego klucza dostawcy
fleet-captured-days = { $n ->
    [one] { $shown } dzień nie jest jeszcze znany
    [few] { $shown } dni nie są jeszcze znane
    [many] { $shown } dni nie jest jeszcze znanych
   *[other] { $shown } dnia nie jest jeszcze znane
}
fleet-captured-unfinished = Odczytane dni nie są jeszcze kompletne
fleet-chart = Cena klienta według organizacji
fleet-limit = Limit
fleet-limit-ok = w normie
fleet-limit-warning = prawie wykorzystany
fleet-limit-reached = wyczerpany
fleet-limits-reached = { $n ->
    [one] wyczerpany jeszcze { $shown } limit
    [few] wyczerpane jeszcze { $shown } limity
    [many] wyczerpanych jeszcze { $shown } limitów
   *[other] wyczerpane jeszcze { $shown } limitu
}
fleet-empty-title = Nie ma jeszcze żadnej organizacji
fleet-empty = Utwórz pierwszą. Jej zużycie, cena i zysk pojawią się tu kilka sekund po pierwszym żądaniu.

gen-title = Generacja
gen-text = Nie wiadomo, ile OpenRouter naliczył za te generacje. Koszt jest sprawdzany automatycznie przez 72 godziny, potem potrzebna jest decyzja ręczna.
gen-waiting = Sprawdzane
gen-waiting-note = automatycznie, decyzja nie jest potrzebna
gen-unresolved = Do decyzji
gen-unresolved-note = należy je rozliczyć lub odrzucić
gen-which = Które generacje
gen-all = Wszystkie
gen-search = Identyfikator generacji
gen-not-found = Żadna organizacja nie ma generacji o tym identyfikatorze.
gen-none-fits = Nie pasuje żadna generacja. Wybierz inny stan lub inną organizację.
gen-empty = Koszt każdej generacji jest znany. Generacja pojawia się tu, gdy odpowiedź została przerwana lub nie podała kosztu, do czasu jego sprawdzenia.
gen-since = Od
gen-asked = Zamówiony model
gen-state = Stan
gen-last-attempt = Ostatnie sprawdzenie
gen-reserved = Zarezerwowano
gen-look-up = Sprawdź ponownie
gen-decide = Otwórz
gen-attempts = { $n ->
    [0] jeszcze bez próby
    [one] { $shown } próba
    [few] { $shown } próby
    [many] { $shown } prób
   *[other] { $shown } próby
}
gen-next = następne { $value }
gen-state-pending = sprawdzana
gen-state-unresolved = czeka na decyzję
gen-reason-client-gone = Klient rozłączył się przed końcem odpowiedzi
gen-reason-upstream-cut = Odpowiedź OpenRouter została przerwana
gen-reason-no-usage = Odpowiedź nie podała zużycia
gen-reason-cost-unknown = Odpowiedź podała tokeny bez kosztu
gen-reason-crash = Usługa zatrzymała się w trakcie wywołania
gen-reason-error-event = Strumień zakończył się błędem
gen-reason-no-id = Nie podano identyfikatora, więc nie można sprawdzić kosztu
gen-reason-no-answer = Nie było odpowiedzi
gen-reason-unbookable = Zużycia nie można zaksięgować w tej postaci
gen-reason-conflict = Księga ma ten identyfikator z innym zużyciem
gen-back = Wszystkie otwarte generacje
gen-cost-unknown = Koszt nie jest znany
gen-why = Przyczyna
gen-tried = Sprawdzenia
gen-last-error = Ostatni błąd
gen-next-attempt = Następne sprawdzenie
gen-key = Klucz bramy
gen-settle-title = Rozliczenie
gen-settle-text = Księguje generację według danych ze strony aktywności OpenRouter. Cena klienta wynika ze stawki organizacji.
gen-settle-cost = Koszt zakupu w USD
gen-settle-model = Model, który odpowiedział
gen-settle = Rozlicz
gen-input = Tokeny wejściowe
gen-output = Tokeny wyjściowe
gen-dismiss = Odrzuć
gen-dismiss-title = Odrzucić generację { $value }?
gen-dismiss-text = Nic nie zostanie za nią zaksięgowane, a rezerwacja wygaśnie. Koszt nie będzie już sprawdzany.
gen-dismiss-reason = Powód
gen-booked = W księdze
gen-began = Początek
gen-booked-at = Zaksięgowano
gen-source = Źródło
gen-source-gateway = brama
gen-source-look-up = sprawdzenie w OpenRouter
gen-source-broadcast = Broadcast OpenRouter
gen-source-webhook = webhook
gen-source-manual = wpis ręczny
gen-history = Sprzeczności i decyzje
gen-side-booked = Wcześniej w księdze
gen-side-reported = Zgłoszono
gen-tokens = { $input } i { $output } tokenów
gen-audit-corrected = Skorygowano na podstawie wiarygodniejszego zgłoszenia
gen-audit-refused = Zgłoszenie odrzucone
gen-audit-dismissed = Odrzucona
gen-done-look-up = Generacja zostanie sprawdzona w ciągu kilku sekund.
gen-done-settle = Generacja została zaksięgowana.
gen-done-dismiss = Generacja została odrzucona. Niczego nie zaksięgowano.
gen-unfit-cost = Nic nie zmieniono. Podaj koszt w USD od 0 do 1000000, na przykład 0,0125.
gen-unfit-tokens = Nic nie zmieniono. Podaj tokeny jako liczby całkowite, 0 lub więcej.
gen-unfit-model = Nic nie zmieniono. Wywołanie nie podało modelu, więc wskaż ten, który odpowiedział.
gen-unfit-reason = Nic nie zmieniono. Podaj, dlaczego generacja nie została naliczona.

run-title = Przebieg dzienny za { $value }
run-next = Następny przebieg
run-schedule = codziennie o { $value }
run-last-success = Ostatni udany
run-never = nigdy
run-of-day = za { $value }
run-now = Teraz: krok { $step } z { $steps }
run-progress = { $done } z { $total }
run-trouble = Wymaga uwagi: { $value }
run-begin-title = Uruchom teraz
run-begin-text = Przebieg aktualizuje kursy i ceny, porównuje z księgą każdy dzień do wybranego włącznie, sumuje miesiąc i tworzy kopię zapasową. Nie zmienia niczego, co jest już prawidłowe.
run-day = Dzień
run-again = Powtórz wykonane kroki i sprawdź ponownie wszystkie dni
run-begin = Uruchom
run-force = Powtórz
run-force-title = Powtórzyć przebieg dzienny za { $value }?
run-force-text = Każdy dzień, który księga jeszcze zawiera, zostanie ponownie porównany i z nią uzgodniony, co może potrwać kilka minut. Zamknięte rozliczenia pozostaną bez zmian.
run-list = Ostatnie przebiegi
run-empty = Nie było jeszcze żadnego przebiegu. Pierwszy rozpocznie się o podanej porze albo teraz, po użyciu formularza.
run-began = Początek
run-ended = Koniec
run-by = Uruchomił
run-by-schedule = harmonogram
run-by-catch-up = harmonogram, z opóźnieniem
run-by-hand = użytkownik lub API
run-by-command = wiersz poleceń
run-forced = powtórzenie
run-took = Czas trwania
run-seconds = { $value } s
run-minutes = { $minutes } min { $seconds } s
run-milliseconds = { $value } ms
run-steps = Kroki
run-steps-of = { $done } z { $all }
run-step = Krok
run-optional = opcjonalny
run-running = w toku
run-waiting = oczekuje
run-succeeded = udany
run-failed = nieudany
run-back = Wszystkie przebiegi
run-facts = Przebieg
run-process = Proces
run-id = Identyfikator
run-begun = Przebieg się rozpoczął. Ta strona pokazuje jego postęp.
run-done-before = Ten dzień został już przetworzony, oto tamten przebieg. Aby go powtórzyć, zaznacz pole przy dniu.
run-busy = Nic nie uruchomiono. Trwa inny przebieg dzienny, poczekaj na jego koniec.
run-unfit-day = Nic nie uruchomiono. Wybierz dzień, który się zakończył.
run-step-exchange-rates = Kursy walut NBP
run-step-model-prices = Cennik OpenRouter
run-step-validation = Porównanie z księgą
run-step-month-totals = Sumy miesiąca
run-step-subscription = Subskrypcja poprzedniego miesiąca
run-step-reconcile = Zarejestrowane wobec naliczonych
run-step-anomalies = Nietypowe zużycie
run-step-retention = Usuwanie starych danych
run-step-backup = Kopia zapasowa

health-ready = Nowe wywołania są przyjmowane i rejestrowane.
health-unready = Nowe wywołania są odrzucane lub nierejestrowane. Szczegóły w kontrolach poniżej.
health-checks = Kontrole
health-check = Kontrola
health-ok = w porządku
health-warning = wymaga uwagi
health-refusing = wywołania odrzucane
health-database = Baza danych
health-database-note = Statystyki, ustawienia i księga
health-journal = Dziennik zapisów
health-journal-note = Utrwala każdy zapis przed końcem odpowiedzi
health-applier = Zapisy w drodze do bazy danych
health-applier-note = Z dziennika zapisów do księgi
health-unresolved-note = Generacje, których koszt trzeba rozliczyć ręcznie
health-accepting = Nowe wywołania
health-accepting-note = Przyjmowane do zatrzymania usługi
health-batch-note = Kursy, kontrole, sumy i kopia zapasowa każdego dnia
health-members-note = Pobierani z Open WebUI
health-backlog = Jeszcze poza bazą danych
health-waiting = najstarszy od { $value } s
health-waiting-none = nic nie czeka
health-open-calls = Otwarte wywołania
health-open-streams = w tym strumienie: { $value }
health-calls = Wywołania od uruchomienia
health-refused = odrzucone przez limity: { $value }
health-sources = Kursy, ceny i uzgodnienie
health-process = Ten proces
health-prices = Cennik odczytano
health-prices-state = Cennik
health-prices-fresh = aktualny
health-prices-old = nieaktualny, nie udało się odczytać OpenRouter
health-built-in = wbudowany, OpenRouter nigdy nie odczytano
health-rate = Ostatni kurs NBP
health-rate-of = { $rate }, tabela { $table } z { $day }
health-rate-read = Kurs odczytano
health-captured = Zarejestrowano w ciągu 7 dni
health-billed = Obciążenia OpenRouter w ciągu 7 dni
health-version = Wersja
health-started = Uruchomiono
health-records = Zapisy utrwalone
health-applied = Zapisy przeniesione do bazy
health-look-ups = Sprawdzone koszty
health-look-ups-failed = Nieudane sprawdzenia
health-directory = Organizacje i klucze porównano

log-when = Kiedy
log-who = Kto
log-what = Co
log-about = Czego dotyczy
log-result = Wynik
log-details = Szczegóły
log-action = Działanie
log-all-actions = Wszystkie działania
log-actor = Identyfikator wykonawcy
log-number = Nr { $value }
log-ok = wykonano
log-refused = odmowa
log-verify = Sprawdź łańcuch
log-export = Eksport JSONL
log-unbroken = { $n ->
    [0] Dziennik jest pusty.
    [one] Łańcuch jest nienaruszony: { $shown } wpis.
    [few] Łańcuch jest nienaruszony: { $shown } wpisy.
    [many] Łańcuch jest nienaruszony: { $shown } wpisów.
   *[other] Łańcuch jest nienaruszony: { $shown } wpisu.
}
log-head = Ostatni skrót: { $value }.
log-broken = Łańcuch jest naruszony: { $value }
log-none-fits = Nie pasuje żaden wpis. Wyczyść filtr lub wybierz inne dni.
log-empty = Niczego jeszcze nie zmieniono. Każda zmiana pojawi się tu wraz z wykonawcą.
log-by-system = Usługa
log-by-command-line = Wiersz poleceń
log-by-reseller-token = Token sprzedawcy
log-by-account = Konto
log-by-api-token = Token API
log-by-open-webui = Open WebUI
log-by-link = Link jednorazowy
log-by-stranger = Niezalogowany
log-of-request = Żądanie
log-of-organization = Organizacja
log-of-member = Użytkownik
log-of-mapping = Mapowanie użytkownika
log-of-account = Konto i logowanie
log-of-session = Sesja
log-of-sign-in-link = Link jednorazowy
log-of-open-webui = Logowanie przez Open WebUI
log-of-api-token = Token API
log-of-gateway-key = Klucz bramy
log-of-provider-key = Klucz dostawcy
log-of-master-key = Klucz główny
log-of-usage-limit = Limit
log-of-usage = Zużycie
log-of-generation = Generacja
log-of-statement = Rozliczenie
log-of-billing-profile = Dane nabywcy
log-of-subscription = Subskrypcja
log-of-alert-destination = Odbiorca powiadomień
log-of-anomaly = Anomalia
log-of-batch = Przebieg dzienny
log-of-settings = Ustawienia

global-rate = Domyślny narzut
global-rate-label = Procent ponad koszt zakupu
global-rate-hint = Dla organizacji bez własnego narzutu, od tej chwili. Przy 30 klient płaci koszt zakupu powiększony o 30%.
global-key = Klucz zarządzający OpenRouter
global-key-is = Zapisany jest klucz kończący się na { $value }.
global-key-none = Nie zapisano klucza. Z kluczem można tu tworzyć klucze dostawcy.
global-key-label = Nowy klucz
global-key-hint = Klucz jest przechowywany w postaci zaszyfrowanej i nie zostanie ponownie pokazany.
global-key-clear = Usuń klucz
global-key-clear-title = Usunąć klucz zarządzający OpenRouter?
global-key-clear-text = Nie będzie można tu tworzyć ani zmieniać kluczy dostawcy. Istniejące klucze będą nadal działać.
global-tiers = Cena miejsca
global-tiers-text = Liczba użytkowników decyduje o progu, a wszyscy płacą jego cenę. Każdy próg kończy się tam, gdzie zaczyna się następny.
global-tier-from = Od (użytkowników)
global-tier-price = PLN za użytkownika i miesiąc
global-tiers-reset = Przywróć progi wbudowane
global-roles = Kto zajmuje miejsce
global-roles-text = Aktywni użytkownicy z tymi rolami.
global-role-admin = Administratorzy
global-role-member = Użytkownicy
global-role-pending = Użytkownicy oczekujący na zatwierdzenie
global-facts = Parametry uruchomienia
global-facts-text = Harmonogram, strefa czasowa, okresy przechowywania, adresy i tokeny pochodzą ze środowiska lub pliku ustawień i tam się je zmienia.
global-currency = Waluta zużycia
global-changed = Ostatnia zmiana ustawień
global-zone = Strefa czasowa
global-schedule = Przebieg dzienny
global-retention = Przechowywanie generacji
global-days = { $n ->
    [one] { $shown } dzień
    [few] { $shown } dni
    [many] { $shown } dni
   *[other] { $shown } dnia
}
global-backups = Przechowywane kopie zapasowe
global-rate-policy = Kurs NBP dla zużycia dziennego
global-rate-policy-text = z tabeli A z danego dnia lub ostatniej wcześniejszej, o ile organizacja nie ma innej zasady
global-prices = Cennik odczytano
global-public-url = Adres dla przeglądarek
global-token = Token sprzedawcy w ustawieniach
global-broadcast = Przyjmowanie Broadcast z OpenRouter
global-open-webui = Logowanie przez Open WebUI
global-done-rate = Narzut został zapisany i obowiązuje od tej chwili.
global-done-key = Klucz został zapisany.
global-done-key-cleared = Klucz został usunięty.
global-done-tiers = Progi zostały zapisane. Zakończone miesiące zachowują swoje.
global-done-roles = Role zostały zapisane.
global-unfit-rate = Nic nie zmieniono. Podaj procent, najwyżej z czterema miejscami po przecinku, na przykład 30 lub 12,5.
global-unfit-key = Nic nie zmieniono. Klucz ma od 1 do 512 widocznych znaków.
global-unfit-tiers = Nic nie zmieniono. Pierwszy próg zaczyna się od 1 użytkownika, każdy kolejny powyżej poprzedniego, a ceny wynoszą od 0 do 1000000 PLN z najwyżej dwoma miejscami po przecinku.
global-unfit-roles = Nic nie zmieniono. Wybierz co najmniej jedną rolę.
